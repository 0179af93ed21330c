"""Changes of the data of a continued study, and whether its results still hold."""

from collections.abc import Callable
from dataclasses import replace

from eenas.errors import EenasError, StorageError, StudyError
from eenas.progress import Listener, Notice
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.specs import from_table
from eenas.study.settings.study_spec import StudySpec, readable
from eenas.tasks.contents import Changes, Contents, compare, only_test
from eenas.tasks.held_out import from_test_source
from eenas.tasks.load import with_distortions
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task

DATA = "data"
"""The key in the facts of a record for the reference to the contents of the data."""
ACCEPT = "--accept-changed-data"


def known_record(storage: str, name: str) -> StudyRecord | None:
    """Return the record of a study, or None if the storage or the study does not exist."""
    try:
        return StudyRecords(Database(storage, create=False)).get(name)
    except StorageError:
        return None


def keep_contents(task: Task, record: StudyRecord | None, store: ArtifactStore) -> str:
    """Return the reference to the contents of a study's data, those of its first session if known."""
    known = None if record is None else record.facts.get(DATA)
    if isinstance(known, str) and store.holds(known):
        return known
    return store.write(f"data-{task.digest}.bin", Contents.of(task).to_bytes())


def contents_of(record: StudyRecord, store: ArtifactStore) -> Contents | None:
    """Return the contents of a study's data, or None if they were not stored or are lost."""
    reference = record.facts.get(DATA)
    try:
        return Contents.from_bytes(store.read(reference)) if isinstance(reference, str) else None
    except EenasError:
        return None


def same_data(
    record: StudyRecord,
    store: ArtifactStore,
    spec: TaskSpec,
    load: Callable[[TaskSpec], Task],
    *,
    accept: bool,
    listener: Listener,
) -> tuple[Task, TaskSpec]:
    """Return the task of a study and the spec that loads it again. `load` reads the task of a spec.

    If the data changed and `accept` is set, added files of a folder are left out, and a changed test split, which no
    trial has used, is accepted.

    Raises StudyError, which names the changes, without `accept`, and if train, calibration or validation samples
    changed.
    """
    held_out = from_table(StudySpec, readable(record.settings)).task.held_out
    spec = replace(spec, held_out=held_out) if spec.held_out == "auto" else spec

    def loaded(spec: TaskSpec) -> Task:
        task = load(spec)
        task = from_test_source(task) if held_out == "test" and task.default_splits else task
        return task if task.distortions else with_distortions(task, spec.distortions)

    task = loaded(spec)
    before = contents_of(record, store)
    if before is None or before.digest == task.digest:
        return task, spec
    changes = compare(before, Contents.of(task))
    left = changes
    if changes.added and spec.spec.startswith("folder:"):
        spec = replace(spec, without=(*task.left_out, *changes.added))
        task = loaded(spec)
        left = compare(before, Contents.of(task))
    if left and not only_test(task, left):
        raise StudyError(
            f"{_describe(record, changes)}; its results do not hold; restore the data, or give another --name"
        )
    if not accept:
        raise StudyError(f"{_describe(record, changes)}; {_accepted(changes, left)}: give {ACCEPT} to continue")
    listener(Notice(f"{_describe(record, changes)}; {_accepted(changes, left)}"))
    return replace(task, digest=before.digest), spec


def changed_since(record: StudyRecord, task: Task, store: ArtifactStore) -> str | None:
    """Return a sentence on the changes from the data of a study to `task`.

    None if there are no changes or the data of the study are unknown.
    """
    before = contents_of(record, store)
    if before is None or before.digest == task.digest:
        return None
    return _describe(record, compare(before, Contents.of(task)))


def _describe(record: StudyRecord, changes: Changes) -> str:
    return f"the data of the study {record.name!r} changed ({changes.words() or 'their order or splits'})"


def _accepted(changes: Changes, left: Changes) -> str:
    """Return the reasons why the results hold despite the changes."""
    parts = []
    if changes.added and not any(each.added for each in left.sources.values()):
        parts.append("added files are left out")
    if left:
        parts.append("the test split, which no trial has used, is accepted as it is")
    return f"its results hold if {' and '.join(parts)}"
