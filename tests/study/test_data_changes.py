"""A study whose data changed: what is said, what is refused, and where it goes on."""

from dataclasses import replace

import pytest
from PIL import Image

from eenas.errors import StudyError
from eenas.records.artifacts import ArtifactStore
from eenas.records.studies import StudyRecord
from eenas.specs import to_table
from eenas.study.context.data_changes import DATA, changed_since, keep_contents, known_record, same_data
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec

from ..tasks.test_folder import fill


@pytest.fixture
def study(tmp_path):
    """A folder with two sources, what loads it, and the record of a study on it."""
    root = tmp_path / "pets"
    for name, count in (("train", 8), ("test", 4)):
        fill(root / name, count=count, seed=count)
    spec, store = TaskSpec(spec=f"folder:{root}", held_out="train"), ArtifactStore(tmp_path / "artifacts")
    settings, _ = load_settings(backbone="cifar_resnet20", task=spec.spec, overrides=["task.held_out=train"])
    record = StudyRecord(name="s", identity={}, identity_digest="", settings=to_table(settings))
    record = replace(record, facts={DATA: keep_contents(load_task(spec), record, store)})
    return root, spec, store, record


def again(study, *, accept=False, said=None):
    _, spec, store, record = study
    return same_data(record, store, spec, load_task, accept=accept, listener=(said if said is not None else []).append)


def test_the_same_data_are_the_same_task(study):
    task, spec = again(study)
    assert task.digest == load_task(spec).digest
    assert changed_since(study[3], task, study[2]) is None
    assert keep_contents(task, study[3], study[2]) == study[3].facts[DATA]


def test_added_files_are_left_out_where_that_is_accepted(study):
    root, spec, store, record = study
    before = load_task(spec).digest
    Image.new("RGB", (8, 8)).save(root / "train" / "cat" / "new.png")
    with pytest.raises(StudyError, match=r"train source: 1 added \(train/cat/new\.png\)\); .* --accept-changed-data"):
        again(study)
    said = []
    task, found = again(study, accept=True, said=said)
    assert (task.digest, found.without) == (before, ("train/cat/new.png",))
    assert "added files are left out" in said[0].text
    assert load_task(found).digest == before  # what `train` reads from the record
    assert "1 added" in changed_since(record, load_task(spec), store)


def test_a_changed_test_split_is_taken_where_that_is_accepted(study):
    root, spec, _, _ = study
    before = load_task(spec).digest
    Image.new("RGB", (8, 8)).save(root / "test" / "owl" / "01.png")
    (root / "test" / "owl" / "00.png").unlink()
    with pytest.raises(StudyError, match=r"1 removed \(test/owl/00\.png\), 1 changed .*no trial has used"):
        again(study)
    task, _ = again(study, accept=True)
    assert (task.digest, len(task.test)) == (before, 7)


@pytest.mark.parametrize("accept", [False, True])
def test_other_changes_are_refused(study, accept):
    root, *_ = study
    Image.new("RGB", (8, 8)).save(root / "train" / "owl" / "01.png")
    with pytest.raises(StudyError, match=r"1 changed \(train/owl/01\.png\)\); its results do not hold; restore"):
        again(study, accept=accept)


def test_settings_of_the_task_are_named(study):
    root, spec, store, record = study
    with pytest.raises(StudyError, match="flip was True, is False"):
        again((root, replace(spec, flip=False), store, record))


def test_a_setting_that_changed_beside_the_test_split_is_refused(study):
    root, spec, store, record = study
    Image.new("RGB", (8, 8)).save(root / "test" / "owl" / "01.png")
    other = root, replace(spec, flip=False), store, record
    with pytest.raises(StudyError, match=r"1 changed .*; flip was True, is False\); its results do not hold"):
        again(other, accept=True)


def test_a_record_without_contents_says_nothing(study):
    root, spec, store, record = study
    old = replace(record, facts={})
    Image.new("RGB", (8, 8)).save(root / "train" / "owl" / "01.png")
    assert again((root, spec, store, old))[0].digest == load_task(spec).digest
    lost = replace(record, facts={DATA: "data-0.bin@sha256:" + "0" * 64})
    assert again((root, spec, store, lost))[0].digest == load_task(spec).digest


def test_a_storage_that_is_not_there_knows_no_study(tmp_path):
    assert known_record(f"sqlite:///{tmp_path}/none.db", "s") is None
    assert not list(tmp_path.iterdir())
