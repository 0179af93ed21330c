"""The frozen front of a study: the best choices of branches on the frozen backbone, found before the first trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import damage_as
from eenas.designs.design import Design, Placed
from eenas.designs.encode import encode
from eenas.designs.known import default_choices
from eenas.designs.placement import candidates
from eenas.designs.repair import fit
from eenas.designs.space import Space, values_of
from eenas.errors import DesignError, DivergedError, StorageError
from eenas.frozen.subsets import SubsetObjective
from eenas.measurement.profile import Profile, source_of
from eenas.progress import Notice
from eenas.records.rows import FIX
from eenas.specs import digest
from eenas.study.context.bank import MEMORY, Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.subset_front import SubsetFront, find_front, pick

MARGIN = 0.03
"""The accuracy by which a network may be below the front without being pruned: its learning rate will still fall."""

_SHOWN = 8
"""The number of designs of the front that become known networks of the study."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenFront:
    """The best choices of banked branches on `calibration`: `accuracy` [M] over rising expected relative `cost` [M].

    `designs` are those that add most hypervolume one after another. `method` describes the search. All are empty if the
    bank trains nothing before the trials.
    """

    accuracy: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cost: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    designs: tuple[Design, ...] = ()
    method: str = ""

    def above(self, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> float:
        """Return the largest accuracy gain of points over the front at equal cost; infinity if there is no front.

        For points cheaper than the whole front, the accuracy of the front counts as 0.
        """
        if not len(self.cost):
            return float("inf")
        index = np.searchsorted(self.cost, cost + 1e-12, side="right") - 1
        front = np.where(index >= 0, self.accuracy[np.maximum(index, 0)], 0.0)
        return float((accuracy - front).max())

    def to_table(self) -> dict[str, Any]:
        """Return plain values for `read_front`."""
        return {
            "accuracy": self.accuracy.tolist(),
            "cost": self.cost.tolist(),
            "designs": [design.to_table() for design in self.designs],
            "method": self.method,
        }


def read_front(table: Mapping[str, Any]) -> FrozenFront:
    """Return the front that `to_table` wrote. Raises StorageError for damaged data."""
    with damage_as(StorageError, "the frozen front in the database", FIX):
        return FrozenFront(
            accuracy=np.array(table["accuracy"], dtype=np.float64),
            cost=np.array(table["cost"], dtype=np.float64),
            designs=tuple(Design.from_table(each) for each in table["designs"]),
            method=str(table["method"]),
        )


def lay_bank(context: StudyContext, bank: Bank) -> FrozenFront:
    """Train the first branches of the bank and find the front. The result is cached for other workers and for resuming.

    A structure that diverges in training is left out, with a notice.
    """
    settings = context.settings
    first = first_branches(context) if settings.bank.use else []
    if not first:
        return FrozenFront()
    described = [[each.cut_point, each.branch.to_table(), source_of(each.branch)] for each in first]
    timed = context.runtime.conditions(context.device, settings.latency)
    key = f"frozen_front/{digest([bank.conditions, described, settings.space.digest, timed])}"
    return context.leases.once(
        key,
        "training branches on the frozen backbone and choosing among them",
        lambda: _front(context, bank, first, key),
        is_made=lambda: context.cache.get(key) is not None,
    )


def _front(context: StudyContext, bank: Bank, first: list[Placed], key: str) -> FrozenFront:
    """Return the front cached under `key`, or find the front of the branches `first` and cache it."""
    settings = context.settings
    kept = context.cache.get(key)
    if kept is not None:
        bank.checkpoint.remove()  # left by a command that was killed after the front was cached
        return read_front(kept)
    first = filled(context, bank, first, "bank")
    if not first:
        return FrozenFront()
    objective = SubsetObjective(table=bank.table(first, "calibration"), cost_weight=0.0)
    front = find_front(objective, most=settings.space.branches)
    designs = _designs(context, objective, front, first)
    found = FrozenFront(
        accuracy=front.accuracy,
        cost=front.cost,
        designs=designs,
        method=front.method,
    )
    context.listener(Notice(f"bank: {len(first)} branches; front of the frozen backbone by {front.method}"))
    return read_front(context.cache.put(key, found.to_table()))


def filled(context: StudyContext, bank: Bank, placed: Sequence[Placed], label: str) -> list[Placed]:
    """Fill the bank with `placed` and return the branches that it holds.

    If training diverges, a notice starting with `label` names the branch.
    """
    try:
        bank.fill(placed)
    except DivergedError as error:
        context.listener(Notice(f"{label}: left out: {error}"))
        return [each for each in placed if bank.holds(each)]
    return list(placed)


def first_branches(context: StudyContext) -> list[Placed]:
    """Return one branch per family of the space and cut point, as far as `[bank]` allows, in depth order.

    Cheap branches are taken first. Sizes are the middle ones of the space, or smaller to hold the cost cap. The logits
    of all branches on `calibration` fit into MEMORY.
    """
    settings, profile = context.settings, context.profile
    at_cut_points = [_standing(settings.space, profile, index, context) for index in candidates(profile)]
    budget = settings.bank.share * profile.total_macs
    fitting = MEMORY // (4 * context.backbone.num_classes * len(context.task.calibration))
    most = min(settings.bank.branches, fitting)
    taken: set[tuple[int, int]] = set()
    for rank in range(max(map(len, at_cut_points), default=0)):
        for position, standing in enumerate(at_cut_points):
            if rank < len(standing) and standing[rank][0] <= budget and len(taken) < most:
                budget -= standing[rank][0]
                taken.add((position, rank))
    return [at_cut_points[position][rank][1] for position, rank in sorted(taken)]


def _standing(space: Space, profile: Profile, index: int, context: StudyContext) -> list[tuple[int, Placed]]:
    """Return the branches allowed at a cut point with their MACs, one per family, cheapest first."""
    point = profile.cut_points[index]
    found: dict[str, tuple[int, Placed]] = {}
    for slot in range(1, space.branches + 1):
        sizes = {name: _middle(space, f"slot{slot}.{name}") for name in ("width", "layers", "pool")}
        for structure in values_of(space, f"slot{slot}.structure"):
            branch = fit({"structure": structure, **sizes}, space, slot, profile, index, context.branch_macs).branch
            if branch is not None and not branch.is_open:
                macs = context.branch_macs(branch, point.shape)
                found.setdefault(str(structure), (macs, Placed(point.name, branch)))
    different = {placed.branch: (macs, placed) for macs, placed in found.values()}
    return sorted(different.values(), key=lambda pair: pair[0])


def _middle(space: Space, name: str) -> Any:
    """Return the middle value of a size in the space. For pooling it is "mixed" if the space has it."""
    values = values_of(space, name)
    return "mixed" if "mixed" in values else values[(len(values) - 1) // 2]


def _designs(
    context: StudyContext, objective: SubsetObjective, front: SubsetFront, first: Sequence[Placed]
) -> tuple[Design, ...]:
    """Return the choices of the front with most added hypervolume, as designs that the space can express."""
    space, profile = context.settings.space, context.profile
    training, policy = default_choices(space)
    chance, left = 1.0 / context.backbone.num_classes, list(front.subsets)
    found: dict[tuple[int, ...], Design] = {}
    while left:
        wanted = pick(objective, left, _SHOWN, chance)
        refused = []
        for subset in wanted:
            design = Design(
                backbone=profile.backbone,
                num_classes=context.backbone.num_classes,
                inputs=context.backbone.transform.inputs,
                branches=tuple(first[index] for index in subset),
                training=training,
                policy=policy,
            ).canonical()
            try:
                encode(design, space, profile, branch_macs=context.branch_macs)
            except DesignError:
                refused.append(subset)
                continue
            found[subset] = design
        if not refused:
            return tuple(found[subset] for subset in wanted)
        left = [subset for subset in left if subset not in refused]
    return ()
