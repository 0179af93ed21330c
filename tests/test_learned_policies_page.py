"""The example of docs/how-to/learned_policies.md runs as it is shown, and what the page says of numbers is so."""

import re
import subprocess
import sys
from pathlib import Path

from eenas.policies.learned.gate import LARGEST, MOST_UNITS
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.learned.selection import LEAST_SAMPLES, POINTS, PRICES
from eenas.policies.learned.stop_nets import HIDDEN

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "learned_policies.md").read_text(encoding="utf-8")


def test_the_example_runs_and_shows_a_policy_that_wins():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    first, *others = done.stdout.splitlines()
    assert re.fullmatch(r"backward_regression at 0\.\d+ accuracy 0\.9\d+ at [12]\.\d\d million MACs", first)
    assert len(others) >= 4
    assert all(line.endswith(", won") for line in others if "backward_regression" in line)


def test_the_page_names_every_kind_and_the_bounds():
    assert [kind for kind in LEARNED if f"| `{kind}` |" not in PAGE] == []
    assert f"hidden layer of {HIDDEN} units" in PAGE
    assert f"fewer than {LEAST_SAMPLES} calibration samples" in PAGE
    assert f"at most {POINTS}, since" in PAGE
    assert f"at most {MOST_UNITS} hidden units" in PAGE
    assert LARGEST == 1e6
    assert (len(PRICES), PRICES[0], PRICES[-1]) == (8, 0.05, 3.2)
