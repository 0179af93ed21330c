"""One small study and one run of full training for all tests of this folder that only read them."""

import pytest

from eenas.runs.run_report import RunReport
from tests.smallest_study import SmallestStudy, make_study


@pytest.fixture(scope="session")
def smallest_study(tmp_path_factory) -> SmallestStudy:
    return make_study(tmp_path_factory.mktemp("smallest"))


@pytest.fixture(scope="session")
def finished_run(smallest_study, tmp_path_factory) -> RunReport:
    """The trial with the most branches trained fully, with all rivals."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return smallest_study.train(out, compare=True, overrides=("baselines.static=3",))
