"""What a study has found so far, as frozen values: this is what reporting reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from eenas.designs.design import Design
from eenas.measurement.latency import Latency, place_of
from eenas.policies.operating_point import OperatingPoint
from eenas.search.config import StudySpec

TrialState = Literal["complete", "failed", "infeasible", "stopped", "copied", "running"]


@dataclass(frozen=True, kw_only=True)
class BackboneFacts:
    """The plain prepared backbone: validation accuracy in [0, 1], MACs, parameters and latency in ms."""

    name: str
    weights: str
    accuracy: float
    macs: int
    parameters: int
    latency_ms: float | None


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial: its design, its operating points and the one fitted for the drawn target."""

    number: int
    state: TrialState
    origin: str
    design: Design | None = None
    points: tuple[OperatingPoint, ...] = ()
    chosen: OperatingPoint | None = None
    values: tuple[float, ...] | None = None
    exit_accuracy: tuple[float, ...] = ()
    frozen_points: tuple[OperatingPoint, ...] = ()
    feasible: bool = True
    violations: tuple[str, ...] = ()
    reason: str | None = None
    seconds: float = 0.0
    samples: int = 0
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """An operating point that none other of the study dominates; shares are of the plain backbone."""

    trial: int
    design: Design
    point: OperatingPoint
    macs_share: float
    latency_share: float | None
    knee: bool = False


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A design that needs no search, measured in the same study (or run)."""

    name: str
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A study read back: the front falls in accuracy; hypervolumes are from (1.1 x backbone, chance).

    `device` is where networks are trained; `latency` is that of the whole backbone as one program, which says where and
    how all latencies were taken (None where none were); `latency_profile` is the file that they come from, if any.
    """

    name: str
    storage: str
    task: str
    device: str
    classes: tuple[str, ...]
    backbone: BackboneFacts
    settings: StudySpec
    trials: tuple[TrialResult, ...]
    baselines: tuple[Baseline, ...]
    front: tuple[FrontPoint, ...]
    hypervolume_macs: float
    hypervolume_latency: float | None
    at_shares: Mapping[float, FrontPoint | None]
    beats_baselines: bool
    latency: Latency | None = None
    latency_profile: str | None = None

    @property
    def latency_place(self) -> str:
        """Where latencies were taken and in what, such as "CPU: AMD EPYC 9B14 in eager torch"."""
        return self.device if self.latency is None else place_of(self.latency)

    @property
    def chance(self) -> float:
        """The accuracy of guessing: one over the number of classes."""
        return 1.0 / len(self.classes)
