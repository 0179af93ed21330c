"""The folder of a full training: settings that may change when it is resumed, and processes that do not see it."""

import json

import pytest

from eenas.designs.training_choice import TrainingChoice
from eenas.errors import StudyError
from eenas.runs.run_report import CHECKPOINT, TRAINING
from eenas.runs.train_fully import train_fully
from eenas.specs import to_table
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec
from tests.training.sharding.trainings import network_of

BEGUN = TrainingSpec(epochs=2)


class ContextReached(Exception):
    """The settings were accepted."""


class NoContext:
    def __getattr__(self, name):
        raise ContextReached


def resume(folder, spec, group=None):
    design = network_of(TrainingChoice()).design
    train_fully(design, NoContext(), spec=spec, folder=folder, phase="training", group=group or ProcessGroup())


@pytest.fixture
def begun(tmp_path):
    """A folder with the checkpoint of a training by BEGUN."""
    design = network_of(TrainingChoice()).design
    settings = {"training": to_table(design.training), "full_training": to_table(BEGUN), "exits": list(design.exits)}
    (tmp_path / TRAINING).write_text(json.dumps({"settings": settings}))
    (tmp_path / CHECKPOINT).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("changed", [{"compile": True}, {"compile": "auto", "sharding": "fsdp"}, {"sharding": "none"}])
def test_a_resumed_training_may_be_divided_and_compiled_otherwise(begun, changed):
    with pytest.raises(ContextReached):
        resume(begun, TrainingSpec(epochs=2, **changed))


def test_other_settings_stay(begun):
    with pytest.raises(StudyError, match=r"was started with .*micro_batch_size.* rerun the original command"):
        resume(begun, TrainingSpec(epochs=2, micro_batch_size=8))


def test_a_process_that_does_not_see_the_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(ProcessGroup, "share", lambda self, value: value)
    with pytest.raises(StudyError, match=r"elsewhere: not seen by process 1; give --out on a file system"):
        resume(tmp_path / "elsewhere", BEGUN, ProcessGroup(1, 2, 1))
