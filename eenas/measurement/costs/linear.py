"""A cost by formula: a weighted sum of MACs, milliseconds, parameters and bytes of the profile."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError, SpecError
from eenas.measurement.costs.cost import Cost
from eenas.measurement.latency import Latency
from eenas.measurement.profile import BranchCost, Profile

_FLOAT = 4
"""Bytes of a float32 number."""


@dataclass(frozen=True, kw_only=True)
class LinearCost(Cost):
    """`constant + macs x MACs + latency x ms + parameters x parameters + feature_bytes x bytes`, in `unit`.

    A prefix has the MACs, latency and parameters up to its cut point, and the bytes of its feature in float32 (none at
    the final exit). A branch adds its MACs, latency and parameters; decisions and the calls that join programs do not
    count. The constant counts once. Raises SpecError if no weight is above 0 or one is negative.
    """

    unit: str = ""
    """Unit of the cost, in at most 20 characters."""
    constant: float = 0.0
    """What every sample costs."""
    macs: float = 0.0
    """Weight of a MAC."""
    latency: float = 0.0
    """Weight of a millisecond."""
    parameters: float = 0.0
    """Weight of a parameter."""
    feature_bytes: float = 0.0
    """Weight of a byte of the feature that is sent."""

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "unit"}
        if bad := [name for name, weight in weights.items() if not 0 <= weight < math.inf]:
            raise SpecError(f"{bad[0]} must be a weight from 0 up, got {weights[bad[0]]}")
        if not any(weight for name, weight in weights.items() if name != "constant"):
            raise SpecError("a linear cost needs a weight above 0: macs, latency, parameters or feature_bytes")

    @property
    def provenance(self) -> str:  # type: ignore[override]
        """The formula."""
        words = {
            "macs": "MACs",
            "latency": "ms",
            "parameters": "parameters",
            "feature_bytes": "bytes of the feature",
        }
        terms = [f"{self.constant:g}"] if self.constant else []
        terms += [f"{weight:g} x {word}" for name, word in words.items() if (weight := getattr(self, name))]
        return "formula: " + " + ".join(terms)

    def prefixes(self, profile: Profile) -> Sequence[float]:
        """See `Cost.prefixes`."""
        times = [*profile.latency_ms, profile.total_latency]
        if self.latency and (None in times or len(times) != len(profile.cut_points) + 1):
            raise MeasurementError("a cost with a weight on latency needs measured latencies, and there are none")
        bytes_there = [_FLOAT * point.shape.elements for point in profile.cut_points]
        rows = zip(
            (*profile.macs, profile.total_macs),
            (*profile.parameters, profile.total_parameters),
            (*bytes_there, 0),
            times if self.latency else [None] * (len(profile.cut_points) + 1),
            strict=True,
        )
        return [
            self.constant + self.feature_bytes * there + self._sum(macs, parameters, time)
            for macs, parameters, there, time in rows
        ]

    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """See `Cost.branch`."""
        if self.latency and branch.latency is None:
            raise MeasurementError("a cost with a weight on latency needs that of every branch, and one was not timed")
        return self._sum(branch.macs, branch.parameters, branch.latency)

    def _sum(self, macs: int, parameters: int, time: Latency | None) -> float:
        found = self.macs * macs + self.parameters * parameters
        return found if time is None else found + self.latency * time.median_ms
