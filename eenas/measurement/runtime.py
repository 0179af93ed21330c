"""The contract of a runtime: what runs a backbone and its branches when they are timed."""

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
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.rounds import Part, Rounds
from eenas.measurement.stopwatch import Apart, Run
from eenas.seeding import seeded

DECISIONS = 3
"""So many decisions are timed beside one."""


class HostLoop(Protocol):
    """The loop that answers a batch, around programs that it does not time; `__name__` says which loop it is."""

    __name__: str

    def __call__(self, num_classes: int, device: torch.device, batch: int, program: Run) -> tuple[Run, Run]:
        """Two runs: an answer with one decision, and one with DECISIONS, each after a run of `program`."""


@dataclass(frozen=True, kw_only=True)
class Joints:
    """What an answer takes beside its programs, in milliseconds, and what lies between programs of their own.

    `cut_ms[i]` is what it adds to end a program at cut point i and begin the next one there: the call, and handing the
    features over. `call_ms` is the call of a program that computes nothing; a branch that was timed alone holds it, and
    in the program of its segment it does not. `entry_ms` is what an answer costs beside programs and decisions.
    """

    cut_ms: tuple[float, ...]
    call_ms: float
    entry_ms: float

    def at(self, cut_points: Sequence[int]) -> "Joints":
        """Those of some of the cut points, by index."""
        return replace(self, cut_ms=tuple(self.cut_ms[index] for index in cut_points))


@dataclass(frozen=True, kw_only=True)
class BackboneTimes:
    """The times of a backbone cut at the names of its chain.

    `prefixes` are the ways to each cut point, each as one program, `whole` the way to the logits; `plain` is the
    backbone as a user runs it who wants no exits; `decision` what one decision takes. `joints` is None where reaching
    an exit takes its prefix, the branches and the decisions and nothing else.
    """

    prefixes: tuple[Latency, ...]
    whole: Latency
    plain: Latency
    decision: Latency
    joints: Joints | None = None


class Runtime(Protocol):
    """What runs programs when they are timed; the profile says what is timed, the runtime knows how that is run.

    Order of calls: `conditions`, by which measurements are kept, then `time_backbone` and `time_branch` as often as
    something is not known yet. Latencies are of `spec.batch` samples, with its threads and type, on `device`.
    """

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """What a time depends on beside what is timed (device, versions, settings), as JSON data."""

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """Time a backbone cut into `chain`; neither is changed nor moved. Raises MeasurementError."""

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """Time a branch alone at features of `shape`, in turns with the plain backbone, whose time it carries.

        `Latency.reference_ms` tells a slow period. The random state is left alone. Raises BranchError where the branch
        cannot stand there, MeasurementError where its time is not to be had.
        """


def branch_to_time(branch: Branch, shape: FeatureShape, num_classes: int, batch: int = 1) -> tuple[nn.Module, Tensor]:
    """The module of a branch that takes features only, in eval mode, and features `[batch, ...]` for it."""
    with seeded(0):
        module = features_only(branch.build(shape, num_classes), num_classes)
        module.eval()
        return module, shape.example(batch)


def way_to(backbone: Backbone, shape: FeatureShape) -> int | None:
    """The index of the middle one of the backbone's cut points whose features have this shape, None where none has."""
    found = [index for index, point in enumerate(backbone.cut_points) if point.shape == shape]
    return found[len(found) // 2] if found else None


def host_times(
    loop: HostLoop, rounds: Rounds, num_classes: int, *, program: Run, runtime: str
) -> tuple[float, Latency]:
    """What an answer costs beside its programs, in milliseconds: once, and for each decision.

    `program` is the first half of the backbone. It runs before each decision as segments do, so that the decision does
    not find everything in the processor's caches, and does not count.
    """
    apart = Apart(rounds.spec.threads or 1)
    runs = loop(num_classes, rounds.device, rounds.spec.batch, lambda: apart(program))

    def counted(run: Run) -> Run:
        def timed() -> Apart:
            apart.reset()
            run()
            return apart

        return timed

    one, all_ = rounds.measure([Part(open=lambda run=run: counted(run), runtime=runtime) for run in runs])  # type: ignore[misc]
    each = max(all_.median_ms - one.median_ms, 0.0) / (DECISIONS - 1)
    part = each / all_.median_ms if all_.median_ms > 0 else 0.0
    low, high = (None if value is None else value * part for value in (all_.low_ms, all_.high_ms))
    decision = replace(all_, median_ms=each, p95_ms=part * all_.p95_ms, low_ms=low, high_ms=high)
    return max(one.median_ms - each, 0.0), decision
