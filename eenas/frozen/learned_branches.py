"""Replacement of open branches by the structures that a differentiable search finds on a frozen backbone."""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eenas.backbones.copies import evaluated
from eenas.backbones.load import Backbone
from eenas.backbones.memory_format import lay_out
from eenas.branches.learned import Learned
from eenas.branches.learned_cell import LearnedCell
from eenas.designs.design import Placed
from eenas.designs.repair import BranchMacs
from eenas.errors import BranchError, CutError, TrainingError, nearest
from eenas.frozen.cell_search import CellSearch
from eenas.frozen.family_search import FamilySearch
from eenas.frozen.frozen_features import Features, feature_batches
from eenas.frozen.structure_search import SearchPlace, StructureSearch, StructureSpec
from eenas.percent import percent
from eenas.progress import Advanced, Finished, Listener, Started, silent
from eenas.seeding import derive, seeded
from eenas.specs import digest
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.batches import Batches
from eenas.training.execution import Execution
from eenas.training.memory import memory_errors

PHASE = "searching the structures of branches"


@dataclass(frozen=True, kw_only=True)
class StructureTraining:
    """How structures are searched: the budget, the seed, and on which device.

    `execution` sets the memory format and precision of the backbone; branches learn in float32.
    """

    spec: StructureSpec
    seed: int
    execution: Execution = field(default_factory=Execution)
    device: torch.device | str = "cpu"


@dataclass(frozen=True, kw_only=True)
class StructureCosts:
    """What structures may cost.

    `limits` maps each cut point with an open branch to the largest MACs allowed there; `reference_macs` are the
    backbone's, and `branch_macs(branch, shape)` counts those of a branch.
    """

    limits: Mapping[str, float]
    reference_macs: float
    branch_macs: BranchMacs


def find_structures(
    backbone: Backbone,
    placed: Sequence[Placed],
    task: Task,
    *,
    training: StructureTraining,
    costs: StructureCosts,
    listener: Listener = silent,
) -> tuple[tuple[Placed, ...], dict[str, Any]]:
    """Replace every open branch of `placed` by the result of a search, and return the branches and the facts.

    A frozen copy of the backbone runs once per batch for all open branches, up to the deepest of them. Weights are
    learned on `train` without `tune`, structures on `tune` (`Split.held_out`). The result depends on the seed, the cut
    point and the branch, not on the other branches.

    The facts are JSON data: `samples`, the number of samples that the backbone read, and `branches`, one table per open
    branch. Raises CutError for an unknown cut point, BranchError for an open branch without a form within its limit,
    TrainingError for a budget or parts too small, DivergedError for a loss that is not finite, and OutOfMemoryError.
    """
    spec, seed, device = training.spec, training.seed, torch.device(training.device)
    shapes = {point.name: point.shape for point in backbone.all_cut_points}
    searches: dict[int, StructureSearch] = {}
    with seeded(seed), memory_errors(spec.batch_size):
        for index, each in enumerate(placed):
            if not each.branch.is_open:
                continue
            if each.cut_point not in shapes:
                raise CutError(
                    f"{backbone.name} has no cut point {each.cut_point!r}; {nearest(each.cut_point, shapes)}"
                )
            place = SearchPlace(
                shape=shapes[each.cut_point],
                num_classes=backbone.num_classes,
                limit=costs.limits[each.cut_point],
                reference_macs=costs.reference_macs,
            )
            birth = derive(seed, "structure", each.cut_point, digest(each.branch))
            searches[index] = _search_at(each, place, spec, costs.branch_macs, seed=birth, device=device)
        contested = [(placed[index].cut_point, each) for index, each in searches.items() if not each.is_settled]
        samples = 0
        if contested:
            samples = _search_all(contested, backbone, task, training, listener)
    found = tuple(
        Placed(each.cut_point, searches[index].found()) if index in searches else each
        for index, each in enumerate(placed)
    )
    tables = [
        {"cut_point": placed[index].cut_point, "asked": placed[index].branch.label()}
        | search.facts()
        | {"found": found[index].branch.label()}
        for index, search in searches.items()
    ]
    return found, {"samples": samples, "branches": tables}


def _search_at(
    placed: Placed,
    place: SearchPlace,
    spec: StructureSpec,
    branch_macs: BranchMacs,
    *,
    seed: int,
    device: torch.device,
) -> StructureSearch:
    """Return the search for one open branch, among the structures within the limit."""
    branch, shape, limit = placed.branch, place.shape, place.limit
    if not isinstance(branch, Learned | LearnedCell):
        known = f"{Learned.kind} and {LearnedCell.kind}"
        raise BranchError(
            f"{branch.label()} at {placed.cut_point}: only {known} can be searched, and not inside other branches"
        )
    branch.check(shape)
    least = branch.stand_in(shape)
    if branch_macs(least, shape) > limit:
        raise BranchError(
            f"{branch.label()} at {placed.cut_point}: its simplest form costs {branch_macs(least, shape):,} MACs, over "
            f"the cap of {limit:,.0f}; make the branch narrower"
        )
    if isinstance(branch, LearnedCell):
        return CellSearch(branch, place, spec, seed=seed, device=device)
    forms = {form: macs for form in branch.forms(shape) if (macs := branch_macs(form, shape)) <= limit}
    return FamilySearch(forms, place, spec, seed=seed, device=device)


def _search_all(
    searches: Sequence[tuple[str, StructureSearch]],
    backbone: Backbone,
    task: Task,
    training: StructureTraining,
    listener: Listener,
) -> int:
    """Run the searches until the budget is used, and return the number of samples read.

    Each search comes with the name of its cut point.
    """
    spec, execution, device = training.spec, training.execution, torch.device(training.device)
    weights, tune = task.train.held_out()
    size = min(spec.batch_size, len(weights))
    if min(size, len(tune)) < 2:
        raise TrainingError(
            f"a search needs at least 2 samples each in train and tune, got {len(weights)} and {len(tune)}"
        )
    if math.ceil(spec.warmup * spec.samples / size) * size >= spec.samples:
        raise TrainingError(
            f"a budget of {spec.samples} samples ends within the warm-up ({percent(spec.warmup, 0)}, in batches of "
            f"{size}); raise the budget"
        )
    names = tuple(dict.fromkeys(name for name, _ in searches))
    module = evaluated(backbone.module, device=device)
    module.requires_grad_(False)
    if execution.channels_last:
        lay_out(module)

    def shuffled(split: Split, size: int, purpose: str, flip: bool | None) -> Generator[tuple[Features, Tensor]]:
        seed = derive(training.seed, purpose)
        batches = Batches(split, backbone.transform, batch_size=size, seed=seed, flip=flip, device=device)
        return feature_batches(module, names, batches, execution)

    listener(Started(PHASE, 100))
    samples = 0
    with (
        closing(shuffled(weights, size, "weights", task.flip if spec.augment else None)) as for_weights,
        closing(shuffled(tune, spec.batch_size, "tune", None)) as for_structures,
    ):
        while (progress := samples / spec.samples) < 1:
            features, labels = next(for_weights)
            samples += len(labels)
            for name, search in searches:
                search.train_weights(features[name], labels, progress)
            if progress >= spec.warmup:
                features, labels = next(for_structures)
                samples += len(labels)
                for name, search in searches:
                    search.train_structure(features[name], labels, progress)
            listener(Advanced(PHASE, 100 * min(1.0, samples / spec.samples)))
    listener(Finished(PHASE))
    return samples
