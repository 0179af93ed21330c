"""The contract of a runtime, which runs a backbone and its branches for timing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.abilities import features_only
from eenas.branches.branch import Branch
from eenas.branches.building import built
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.rounds import Part, Rounds
from eenas.measurement.stopwatch import Excluded, Run
from eenas.seeding import seeded

DECISIONS = 3
"""The number of decisions that are timed in comparison with one."""


class HostLoop(Protocol):
    """The loop that answers a batch, around programs that are not timed. `__name__` identifies the loop."""

    __name__: str

    def __call__(self, num_classes: int, device: torch.device, batch: int, program: Run) -> tuple[Run, Run]:
        """Return two runs of an answer, with one decision and with DECISIONS decisions.

        Each decision follows a run of `program`.
        """


@dataclass(frozen=True, kw_only=True)
class Joints:
    """The time of an answer outside its programs, and between separate programs, in milliseconds.

    `cut_ms[i]` is the additional time of ending a program at cut point i and starting the next one there: the call and
    the transfer of the features. `call_ms` is the call of an empty program. A branch timed alone includes it; a branch
    in the program of its segment does not. `entry_ms` is the time of an answer outside programs and decisions.
    """

    cut_ms: tuple[float, ...]
    call_ms: float
    entry_ms: float

    def at(self, cut_points: Sequence[int]) -> "Joints":
        """Return the joints of the cut points with these indices."""
        return replace(self, cut_ms=tuple(self.cut_ms[index] for index in cut_points))


@dataclass(frozen=True, kw_only=True)
class BackboneTimes:
    """The times of a backbone, cut at the names of its chain.

    `prefixes` are the programs up to each cut point, `whole` is the program up to the logits. `plain` is the backbone
    as used without exits, `decision` the time of one decision. `joints` is None if reaching an exit takes only its
    prefix, the branches and the decisions.
    """

    prefixes: tuple[Latency, ...]
    whole: Latency
    plain: Latency
    decision: Latency
    joints: Joints | None = None


class Runtime(Protocol):
    """The contract of a runtime: the profile chooses the programs to time, and the runtime runs them.

    Order of calls: `conditions`, by which measurements are cached, then `time_backbone` and `time_branch` for each
    unknown measurement. Latencies are for `spec.batch` samples, with its threads and type, on `device`.
    """

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """Return all conditions of a time other than its program (device, versions, settings), as JSON data."""

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """Time a backbone cut into `chain` without changing or moving either. Raises MeasurementError."""

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """Time a branch alone on features of `shape`, in turns with the plain backbone.

        `Latency.reference_ms` is the backbone's time, which reveals a slow period. The random state is unchanged.
        Raises BranchError if the branch does not fit there, and MeasurementError if it cannot be timed.
        """


def branch_to_time(branch: Branch, shape: FeatureShape, num_classes: int, batch: int = 1) -> tuple[nn.Module, Tensor]:
    """Return a branch as a module of features only, in eval mode, and features `[batch, ...]` for it."""
    with seeded(0):
        module = features_only(built(branch, shape, num_classes), num_classes)
        module.eval()
        return module, shape.example(batch)


def way_to(backbone: Backbone, shape: FeatureShape, names: Sequence[str] | None = None) -> int | None:
    """Return the index of the middle cut point of those with features of this shape, or None.

    It is the index in `names`, the cut points of a chain, if given, else in those of the backbone.
    """
    shapes = {point.name: point.shape for point in backbone.cut_points}
    found = [index for index, name in enumerate(shapes if names is None else names) if shapes.get(name) == shape]
    return found[len(found) // 2] if found else None


def host_times(
    loop: HostLoop, rounds: Rounds, num_classes: int, *, program: Run, runtime: str
) -> tuple[float, Latency]:
    """Return the time of an answer outside its programs, in ms: once per answer, and per decision.

    `program` is the first half of the backbone. It runs before each decision as segments do, so that the processor's
    caches are in a realistic state. Its time does not count.
    """
    excluded = Excluded(rounds.spec.threads or 1)
    runs = loop(num_classes, rounds.device, rounds.spec.batch, lambda: excluded(program))

    def counted(run: Run) -> Run:
        def timed() -> Excluded:
            excluded.reset()
            run()
            return excluded

        return timed

    one, all_ = rounds.measure([Part(open=lambda run=run: counted(run), runtime=runtime) for run in runs])  # type: ignore[misc]
    each = max(all_.median_ms - one.median_ms, 0.0) / (DECISIONS - 1)
    part = each / all_.median_ms if all_.median_ms > 0 else 0.0
    low, high = (None if value is None else value * part for value in (all_.low_ms, all_.high_ms))
    decision = replace(all_, median_ms=each, p95_ms=part * all_.p95_ms, low_ms=low, high_ms=high)
    return max(one.median_ms - each, 0.0), decision
