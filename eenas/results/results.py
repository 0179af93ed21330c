"""The results of a study as frozen values, the input of reporting."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eenas.fronts.choices import beyond_guessing
from eenas.measurement.latency import Latency, place_of
from eenas.measurement.profile import Profile
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.class_weights import effective_samples, measure_name
from eenas.policies.costs import KNOWN, CostFacts
from eenas.policies.operating_point import OperatingPoint
from eenas.records.trials import TrialRecord
from eenas.records.workers import WorkerRecord
from eenas.study.rivals.known_networks import KnownNetwork
from eenas.study.rivals.offered_points import FrontPoint
from eenas.study.settings.limits import amount
from eenas.study.settings.study_spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The accuracy minus that of a baseline within the same budget, a share of the MACs, with its 95 % interval."""

    baseline: str
    budget: float
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """The conclusion from the interval: "beats", "loses to" or "within noise of"."""
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "within noise of"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline that needs no search, measured in the same study or run."""

    name: str
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """The results of a study.

    `front` is sorted by falling accuracy and contains only points within the limits of the study. `hypervolumes`, by
    cost, are from (1.1 x backbone, chance). `costs` describes the costs of the study, the MACs first. `networks` holds
    all known networks, and `comparisons` the comparisons of the search with each family of rivals. `samples` is the
    size of the validation split, and `largest_class` the share of its largest class (0 if not recorded). `weights` are
    the sample weights of balanced accuracy, else None.

    Networks are trained on `device`. `latency` is the latency of the whole backbone as one program, with the device and
    method of all latency measurements; None if there are none. `latency_profile` is the file they come from, or None.
    `profile` is that of the backbone (None: not recorded).
    Each of `warnings` is a sentence on why results may be misleading.
    """

    name: str
    storage: str
    task: str
    device: str
    classes: tuple[str, ...]
    backbone: BackboneFacts
    settings: StudySpec
    trials: tuple[TrialRecord, ...]
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
    profile: Profile | None = None
    workers: tuple[WorkerRecord, ...] = field(default=(), compare=False)
    """The workers that were alive when this was read; they change at any time."""

    @property
    def choices(self) -> tuple[FrontPoint, ...]:
        """The points of the front that differ enough to choose between."""
        return tuple(item for item in self.front if item.choice)

    @property
    def sample_weights(self) -> NDArray[np.float64] | None:
        """The weight of each validation sample, [samples]; None if all count the same."""
        return None if self.weights is None else np.array(self.weights, dtype=np.float64)

    @property
    def measure(self) -> str:
        """The name of the accuracy: "accuracy" or "balanced accuracy"."""
        return measure_name(balanced=self.weights is not None)

    @property
    def floor(self) -> float:
        """The accuracy of always answering the largest class."""
        return self.largest_class if self.weights is None else 1 / len(self.classes)

    @property
    def guessing(self) -> float:
        """The accuracy above which a network is better than guessing the largest class, beyond noise."""
        return beyond_guessing(self.floor, effective_samples(self.samples, self.sample_weights))

    @property
    def cheaper_by(self) -> str:
        """The cost that defines the cheaper of two networks: the first of those that the study minimises."""
        return self.settings.search.costs[0]

    @property
    def all_costs(self) -> tuple[CostFacts, ...]:
        """The descriptions of the costs of the study, measured or not."""
        found = {each.name: each for each in self.costs}
        return tuple(found.get(name) or KNOWN[name] for name in self.cost_names)

    @property
    def cost_names(self) -> tuple[str, ...]:
        """The names of the costs of the study, measured or not."""
        return tuple(dict.fromkeys((*KNOWN, *(each.name for each in self.costs))))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each cost by name."""
        return {each.name: each.unit for each in self.costs}

    @property
    def recommended(self) -> FrontPoint | None:
        """The cheapest choice that loses at most a point against the backbone and saves something, or None."""
        return next((item for item in self.front if item.recommended), None)

    @property
    def plain(self) -> FrontPoint | None:
        """The plain backbone if it is on the front, else None."""
        return next((item for item in self.front if item.kind == "plain"), None)

    @property
    def knee(self) -> FrontPoint | None:
        """The choice at the largest bend of the front, or None."""
        return next((item for item in self.front if item.knee), None)

    @property
    def latency_place(self) -> str:
        """The device and runtime of latency measurements, such as "CPU: AMD EPYC 9B14 in eager torch"."""
        return self.device if self.latency is None else place_of(self.latency)

    def missed(self, trial: TrialRecord) -> str:
        """The limits that a trial misses, and by how much, such as "max_macs by 3.2 % of the backbone's MACs"."""
        return ", ".join(f"{name} by {amount(name, by, self.units)}" for name, by in trial.missed.items())

    @property
    def chance(self) -> float:
        """The accuracy of guessing: one over the number of classes."""
        return 1.0 / len(self.classes)
