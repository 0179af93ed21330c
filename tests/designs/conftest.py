"""Stand-ins for a measured backbone and for counting the MACs of branches."""

from collections.abc import Callable

import pytest

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.measurement.profile import Profile
from eenas.testing.stand_ins import stand_in_macs, stand_in_profile


@pytest.fixture(scope="session")
def make_profile() -> Callable[..., Profile]:
    return stand_in_profile


@pytest.fixture(scope="session")
def branch_macs() -> Callable[[Branch, FeatureShape], int]:
    return stand_in_macs
