"""What a study has found so far, as frozen values: this is what reporting reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.fronts.choices import beyond_guessing
from eenas.measurement.latency import Latency, place_of
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.class_weights import effective_samples, measure_name
from eenas.policies.costs import KNOWN, CostFacts
from eenas.policies.operating_point import OperatingPoint
from eenas.study.rivals.known_networks import KnownNetwork
from eenas.study.rivals.offered_points import FrontPoint
from eenas.study.settings.study_spec import StudySpec

TrialState = Literal["complete", "failed", "infeasible", "stopped", "copied", "running"]


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
    violations: tuple[str, ...] = ()
    reason: str | None = None
    seconds: float = 0.0
    samples: int = 0
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Accuracy less a baseline's at the same budget of MACs (a share): paired bootstrap, 95 % interval."""

    baseline: str
    budget: float
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval says: "beats", "loses to" or "within noise of"."""
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "within noise of"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A design that needs no search, measured in the same study (or run)."""

    name: str
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A study read back: the front falls in accuracy; hypervolumes, by cost, are from (1.1 x backbone, chance).

    `costs` say what each cost of the study is, the MACs first.
    `networks` are all that the study knows, and the front is of those of their points that hold the study's limits.
    `comparisons` hold what the trials found against each kind of rival. `largest_class` is the share of the largest
    class of the `samples` of the validation split (0: not recorded), on which accuracies rest; `weights` are what these
    count where accuracies are balanced.

    `device` is where networks are trained; `latency` is that of the whole backbone as one program, which says where and
    how all latencies were taken (None where none were); `latency_profile` is the file that they come from, if any.
    `warnings` say in a sentence each why the figures may mislead.
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
    hypervolumes: Mapping[str, float]
    at_shares: Mapping[float, FrontPoint | None]
    costs: tuple[CostFacts, ...] = tuple(KNOWN.values())
    networks: tuple[KnownNetwork, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    samples: int = 0
    largest_class: float = 0.0
    weights: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    latency: Latency | None = None
    latency_profile: str | None = None

    @property
    def choices(self) -> tuple[FrontPoint, ...]:
        """The points of the front that a user has reason to tell apart."""
        return tuple(item for item in self.front if item.choice)

    @property
    def sample_weights(self) -> NDArray[np.float64] | None:
        """What each validation sample's right answer counts, [samples]; None where all count alike."""
        return None if self.weights is None else np.array(self.weights, dtype=np.float64)

    @property
    def measure(self) -> str:
        """What the study's accuracies are called: "accuracy" or "balanced accuracy"."""
        return measure_name(balanced=self.weights is not None)

    @property
    def floor(self) -> float:
        """The accuracy of always answering the largest class."""
        return self.largest_class if self.weights is None else 1 / len(self.classes)

    @property
    def guessing(self) -> float:
        """The accuracy that a network has to be above to be told from guessing the largest class."""
        return beyond_guessing(self.floor, effective_samples(self.samples, self.sample_weights))

    @property
    def cheaper_by(self) -> str:
        """The cost that tells the cheaper of two networks: MACs, or the first that the study minimises without them."""
        return self.settings.search.costs[0]

    @property
    def all_costs(self) -> tuple[CostFacts, ...]:
        """What each cost of the study is, measured or not."""
        found = {each.name: each for each in self.costs}
        return tuple(found.get(name) or KNOWN[name] for name in self.cost_names)

    @property
    def cost_names(self) -> tuple[str, ...]:
        """The costs of the study by name, measured or not."""
        return tuple(dict.fromkeys((*KNOWN, *(each.name for each in self.costs))))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each cost by its name."""
        return {each.name: each.unit for each in self.costs}

    @property
    def recommended(self) -> FrontPoint | None:
        """The cheapest choice that loses at most a point against the backbone and saves something, or None."""
        return next((item for item in self.front if item.recommended), None)

    @property
    def plain(self) -> FrontPoint | None:
        """The plain backbone where it is on the front: it holds the limits, and nothing is as good at less cost."""
        return next((item for item in self.front if item.kind == "plain"), None)

    @property
    def knee(self) -> FrontPoint | None:
        """The choice at which the front bends most, or None."""
        return next((item for item in self.front if item.knee), None)

    @property
    def latency_place(self) -> str:
        """Where latencies were taken and in what, such as "CPU: AMD EPYC 9B14 in eager torch"."""
        return self.device if self.latency is None else place_of(self.latency)

    @property
    def chance(self) -> float:
        """The accuracy of guessing: one over the number of classes."""
        return 1.0 / len(self.classes)
