"""The data of a study that is continued: what has changed since, and whether its results still hold."""

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
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task

DATA = "data"
"""The key in a record's facts of the reference to the contents of the data."""
ACCEPT = "--accept-changed-data"


def known_record(storage: str, name: str) -> StudyRecord | None:
    """The record of a study, where storage and study are there already."""
    try:
        return StudyRecords(Database(storage, create=False)).get(name)
    except StorageError:
        return None


def keep_contents(task: Task, record: StudyRecord | None, store: ArtifactStore) -> str:
    """The reference to the contents of a study's data: of its first session, or kept now."""
    known = None if record is None else record.facts.get(DATA)
    if isinstance(known, str) and store.holds(known):
        return known
    return store.write(f"data-{task.digest}.bin", Contents.of(task).to_bytes())


def contents_of(record: StudyRecord, store: ArtifactStore) -> Contents | None:
    """What the data of a study were; None where that was not kept, or is lost."""
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
    """The task of a study, and how to load it again. `load` reads the task that a specification names.

    Where its data changed: with `accept`, files that were added are left out, and a test split that changed, which no
    trial has seen, is taken as it is now. Raises StudyError that says what changed where that is not asked for, and
    where train, calibration or validation samples changed.
    """
    held_out = from_table(StudySpec, readable(record.settings)).task.held_out
    spec = replace(spec, held_out=held_out) if spec.held_out == "auto" else spec

    def loaded(spec: TaskSpec) -> Task:
        task = load(spec)
        return from_test_source(task) if held_out == "test" and task.default_splits else task

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
        raise StudyError(f"{_said(record, changes)}; its results do not hold; restore the data, or give another --name")
    if not accept:
        raise StudyError(f"{_said(record, changes)}; {_holds(changes, left)}: {ACCEPT} goes on")
    listener(Notice(f"{_said(record, changes)}; {_holds(changes, left)}"))
    return replace(task, digest=before.digest), spec


def changed_since(record: StudyRecord, task: Task, store: ArtifactStore) -> str | None:
    """What of the data of a study differs from `task`, in a sentence; None where nothing does or it is not known."""
    before = contents_of(record, store)
    if before is None or before.digest == task.digest:
        return None
    return _said(record, compare(before, Contents.of(task)))


def _said(record: StudyRecord, changes: Changes) -> str:
    return f"the data of the study {record.name!r} changed ({changes.words() or 'their order or splits'})"


def _holds(changes: Changes, left: Changes) -> str:
    """Why the results hold all the same."""
    parts = []
    if changes.added and not any(each.added for each in left.sources.values()):
        parts.append("what was added is left out")
    if left:
        parts.append("no trial has seen the test split, which is taken as it is now")
    return f"its results hold where {' and '.join(parts)}"
