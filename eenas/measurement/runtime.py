"""The contract of a runtime: what runs a backbone and its branches when they are timed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.abilities import alone
from eenas.branches.branch import Branch
from eenas.measurement.latency import Latency, LatencySpec
from eenas.seeding import seeded


@dataclass(frozen=True, kw_only=True)
class Joints:
    """What lies between programs where each segment is one of its own, in milliseconds.

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
        """Time a branch alone at features of `shape`; the random state is left alone. Raises BranchError where it
        cannot stand there, MeasurementError where its time is not to be had."""


def branch_to_time(branch: Branch, shape: FeatureShape, num_classes: int, batch: int = 1) -> tuple[nn.Module, Tensor]:
    """The module of a branch that takes features only, in eval mode, and features `[batch, ...]` for it."""
    with seeded(0):
        module = alone(branch.build(shape, num_classes), num_classes).eval()
        return module, shape.example(batch)
