"""The times of a network's parts on one machine: its segments, its exits, and an answer outside its programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import MeasurementError, nearest
from eenas.measurement.profile import BranchCost, Profile


@dataclass(frozen=True, kw_only=True, eq=False)
class PartTimes:
    """Milliseconds of L segments, K exits (each its branch and its decision), and once of an answer (`entry_ms`).

    Raises MeasurementError for times that are not finite numbers from 0 up.
    """

    segments_ms: NDArray[np.float64]
    exits_ms: NDArray[np.float64]
    entry_ms: float = 0.0

    def __post_init__(self) -> None:
        """Convert to float64 and check the values."""
        for name in ("segments_ms", "exits_ms"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, values)
            if values.ndim != 1 or not len(values):
                raise MeasurementError(f"{name} must be a row of at least one number, got the shape {values.shape}")
        every = np.concatenate([self.segments_ms, self.exits_ms, [self.entry_ms]])
        if not (np.isfinite(every) & (every >= 0)).all():
            raise MeasurementError("the times of parts must be finite numbers from 0 up")

    @property
    def whole_ms(self) -> float:
        """The time of all segments."""
        return float(self.segments_ms.sum())

    def scaled(self, factor: float) -> "PartTimes":
        """Return the times of a machine that takes `factor` times as long."""
        return PartTimes(
            segments_ms=factor * self.segments_ms, exits_ms=factor * self.exits_ms, entry_ms=factor * self.entry_ms
        )

    def reaching(self, reached_ms: ArrayLike) -> "PartTimes":
        """Return the times of a machine that reaches the end of each segment after `reached_ms` [L].

        Exits take as much more or less than here as all segments do.
        """
        there = segments_of(np.asarray(reached_ms, dtype=np.float64))
        if there.shape != self.segments_ms.shape:
            raise MeasurementError(f"{len(self.segments_ms)} segments need as many times, got {len(there)}")
        ratio = there.sum() / self.whole_ms if self.whole_ms > 0 else 1.0
        return PartTimes(segments_ms=there, exits_ms=ratio * self.exits_ms, entry_ms=ratio * self.entry_ms)


def segments_of(reached_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times of segments [L] from the times of reaching their ends; noise never makes a longer way faster."""
    return np.diff(np.maximum.accumulate(np.concatenate([[0.0], reached_ms])))


def part_times(
    profile: Profile, at: Sequence[int], branches: Sequence[BranchCost], *, static: bool = False
) -> PartTimes:
    """Return the times of a network with `branches` at the cut points with the indices `at`, from a profile.

    The segments lie between all cut points of the profile. They add up to the latency of each exit as the costs of a
    network count it: a segment behind a branch begins with joining two programs, where segments are programs of their
    own. A `static` network ends with its only branch. Raises MeasurementError if a part was not timed.
    """
    if not profile.reached_ms or profile.total_latency is None or profile.decision is None:
        raise MeasurementError(f"tiers need the latency of {profile.backbone}, which was not measured; measure it")
    if profile.total_latency.batch != 1:
        raise MeasurementError(
            f"tiers count the time of one sample, got the latency of batches of {profile.total_latency.batch}; measure "
            "with latency.batch = 1"
        )
    joints, decision = profile.joints, profile.decision.median_ms
    reached = profile.reached_ms
    segments = segments_of(np.array(reached[: at[0] + 1] if static else reached))
    exits = []
    for index, branch in zip(at, branches, strict=True):
        if branch.latency is None:
            raise MeasurementError(f"tiers need the latency of every branch, and one of {profile.backbone} has none")
        # a branch shares the call of its segment's program
        alone = max(branch.latency.median_ms - (joints.call_ms if joints else 0.0), 0.0)
        # the last exit decides nothing; with joined programs the policy also runs there, to give the answer
        exits.append(alone + (0.0 if static and joints is None else decision))
        if joints and not static:
            segments[index + 1] += joints.cut_ms[index]
    if not static:
        exits.append(decision if joints else 0.0)
    return PartTimes(
        segments_ms=segments, exits_ms=np.array(exits), entry_ms=joints.entry_ms if joints is not None else 0.0
    )


def reached_ms(values: Mapping[str, float], names: Sequence[str], *, file: str) -> NDArray[np.float64]:
    """Return the milliseconds [L] of reaching the ends of segments from a table by their names.

    Raises MeasurementError if one is missing.
    """
    if missing := [name for name in names if name not in values]:
        raise MeasurementError(
            f"{file}: has no time of {missing[0]!r}; {nearest(missing[0], values)}; give a table of this backbone"
        )
    return np.array([values[name] for name in names], dtype=np.float64)
