"""A whole study, value by value: designs, scores and front are those that were written down."""

import json
import platform
from pathlib import Path

import pytest
import torch

from tests.study.golden_run import in_a_process

GOLDEN = json.loads(Path(__file__).with_name("golden_run.json").read_text())


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or torch.__version__.partition("+")[0] != GOLDEN["torch"],
    reason=f"the golden values were written with torch {GOLDEN['torch']} on x86-64; others round differently",
)
def test_the_golden_run_finds_the_same_value_by_value():
    found = in_a_process()
    assert found["trials"] == GOLDEN["trials"]
    assert found == GOLDEN


def test_the_golden_values_are_of_a_study_that_says_something():
    origins = [trial["origin"] for trial in GOLDEN["trials"]]
    assert origins.count("sampler") >= 5, "the sampler proposes trials beyond the known designs"
    assert len({trial["design"] for trial in GOLDEN["trials"]}) >= 10
    assert len(GOLDEN["front"]) >= 4
    assert max(point["accuracy"] for point in GOLDEN["front"]) > 0.8
