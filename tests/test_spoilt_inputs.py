"""Spoilt inputs of every reader are read or refused in one short line, never with a traceback.

`EENAS_FUZZ_EXAMPLES=2000` tries so many of each; `tests/benchmarks/fuzz.py` does so with a bound on memory.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import examples
from tests.spoilt_inputs import READERS, Reader, attempt, spoil

SLOW = ("database", "study.toml", "space.toml", "run report", "assignment")


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_a_valid_input_is_read(reader: Reader, tmp_path: Path) -> None:
    for data in reader.valid():
        assert attempt(reader, data, tmp_path) == "read"


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_a_spoilt_input_is_read_or_refused_in_one_line(reader: Reader) -> None:
    number = examples(40 if reader.name in SLOW else 200)

    @settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(random=st.randoms(use_true_random=False))
    def tried(random: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert attempt(reader, spoil(reader, random), Path(folder)) in ("read", "refused")

    tried()
