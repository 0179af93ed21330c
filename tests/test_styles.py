"""Every style of a user's own module: loaded, cut, chained, counted and trained for a few steps."""

import pytest

from tests.benchmarks.network_list import STYLES, Named
from tests.benchmarks.walk import Walk

SLOW = ("Rows",)  # torch.export takes long for recurrent layers


@pytest.mark.parametrize(
    "named", [each for each in STYLES if not each.name.endswith(SLOW)], ids=lambda named: named.name.rpartition(":")[2]
)
def test_a_style_works(named: Named, tmp_path) -> None:
    walk = Walk(named.name, named.size, named.channels, tmp_path).go(until="train")
    assert walk.failed == "", walk.reason
    assert float(walk.facts["parity"]) < 1e-5
