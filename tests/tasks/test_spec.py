"""The tables [task] and [task.splits]: read from TOML, defaults, refusals."""

import tomllib

import pytest

from eenas.errors import EenasError, SpecError, TaskError
from eenas.specs import from_table, to_table
from eenas.tasks.spec import SplitSpec, SplitsSpec, TaskSpec

TABLE = """
spec = "npz:cifar10.npz"
input_size = 32
[splits]
seed = 3
calibration = {source = "test", size = 2500}
validation = {source = "test", size = 0.25}
test = {source = "test"}
"""


def test_a_table_is_read_and_written_back():
    spec = from_table(TaskSpec, tomllib.loads(TABLE))
    assert spec.splits.calibration == SplitSpec(source="test", size=2500)
    assert spec.splits.validation == SplitSpec(source="test", size=0.25)
    assert (spec.splits.train, spec.splits.seed, spec.input_size, spec.flip) == (None, 3, 32, None)
    assert from_table(TaskSpec, to_table(spec)) == spec


def test_defaults_with_and_without_a_test_source():
    def sizes(test_source):
        chosen = SplitsSpec().with_defaults(test_source=test_source)
        return {name: (spec.source, spec.size) for name, spec in chosen.items()}

    assert sizes(True) == {
        "train": ("train", None),
        "calibration": ("train", 0.1),
        "validation": ("train", 0.1),
        "test": ("test", None),
    }
    assert sizes(False) == {
        "train": ("train", None),
        "calibration": ("train", 0.1),
        "validation": ("train", 0.15),
        "test": ("train", 0.15),
    }


@pytest.mark.parametrize("size", [0, -3, 0.0, 1.0, 2500.0, float("nan"), True, "all"])
def test_sizes_that_are_neither_count_nor_share_are_refused(size):
    with pytest.raises(TaskError, match="size must be"):
        SplitSpec(source="train", size=size)


def test_unknown_sources_and_keys_are_refused():
    with pytest.raises(TaskError, match="source must be 'train', 'validation' or 'test', got 'val'"):
        SplitSpec(source="val")
    with pytest.raises(SpecError, match=r"study.toml: \[task.splits.calibraton\]: unknown key; nearest: 'calibration'"):
        from_table(TaskSpec, {"splits": {"calibraton": {}}}, file="study.toml", key="task")
    table = {"splits": {"test": {"source": "test", "size": 1.5}}}
    with pytest.raises(EenasError, match=r"study.toml: \[task.splits.test\]"):
        from_table(TaskSpec, table, file="study.toml", key="task")


def test_a_test_source_that_is_not_there_and_two_rests_are_refused():
    with pytest.raises(TaskError, match="calibration takes from the test source, but this task has none"):
        SplitsSpec(calibration=SplitSpec(source="test", size=5)).with_defaults(test_source=False)
    with pytest.raises(TaskError, match="validation and test both take the rest of the test source"):
        SplitsSpec(validation=SplitSpec(source="test")).with_defaults(test_source=True)


def test_names_and_sizes_that_no_task_has_are_refused():
    with pytest.raises(TaskError, match="a task needs a name"):
        TaskSpec(spec="")
    with pytest.raises(TaskError, match=r"positive size in pixels .* got 0"):
        TaskSpec(input_size=0)
