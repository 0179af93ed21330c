"""An additional cost of a study on its backbone: the values of its cut points, and of branches."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from eenas.backbones.features import FeatureShape
from eenas.errors import EenasError, MeasurementError
from eenas.escaping import shortened
from eenas.measurement.costs.cost import Cost
from eenas.measurement.profile import BranchCost, Profile


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnCost:
    """The cost `name` on one backbone, in `unit`: `prefixes` [P + 1] up to each cut point, then the whole backbone."""

    name: str
    unit: str
    provenance: str
    prefixes: tuple[float, ...]
    cost: Cost
    profile: Profile

    @classmethod
    def of(cls, name: str, cost: Cost, profile: Profile) -> "OwnCost":
        """Evaluate the prefixes of a cost. Raises MeasurementError unless each is a finite number from 0 up."""
        label, count = _label(name, cost), len(profile.cut_points) + 1
        with own_fault(label):
            given: Any = cost.prefixes(profile)
        if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str | bytes) or len(given) != count:
            got = len(given) if isinstance(given, Sequence | np.ndarray) else shortened(given)
            raise MeasurementError(
                f"{label}: prefixes must be {count} numbers, one for each cut point and one for the whole backbone, in "
                f"a sequence, got {got}"
            )
        names = [*(point.name for point in profile.cut_points), "the end"]
        values = tuple(
            _number(value, f"{label}: the prefix up to {at}") for value, at in zip(given, names, strict=True)
        )
        unit, provenance = cost.unit, cost.provenance or f"by {cost.kind or type(cost).__name__}"
        for what, text in (("unit", unit), ("provenance", provenance)):
            if not isinstance(text, str):
                raise MeasurementError(f"{label}: its {what} must be a text, got {shortened(text)}")
        return cls(name=name, unit=unit, provenance=provenance, prefixes=values, cost=cost, profile=profile)

    def branch(self, branch: BranchCost, shape: FeatureShape) -> float:
        """Return the cost of a branch. Raises MeasurementError unless it is a finite number from 0 up."""
        label = _label(self.name, self.cost)
        with own_fault(label):
            value: Any = self.cost.branch(branch, shape, self.profile)
        return _number(value, f"{label}: a branch at features {shape}")


def _label(name: str, cost: Cost) -> str:
    return f"costs.{name} ({cost.kind or type(cost).__name__})"


@contextmanager
def own_fault(label: str) -> Iterator[None]:
    """Convert exceptions of user code in the block to a MeasurementError that names the cost."""
    try:
        yield
    except EenasError:
        raise
    except (Exception, SystemExit) as error:  # any exception of user code, or its own sys.exit
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise MeasurementError(f"{label}: its code failed: {type(error).__name__}: {reason}") from error


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise MeasurementError(f"{what} must cost a finite number from 0 up, got {shortened(value)}")
    return float(value)
