"""The parts of resolving that need training: the choice among candidates, and the structure of open branches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from eenas.branches.branch import SIZES
from eenas.designs.design import Placed
from eenas.designs.domains import Scalar
from eenas.designs.placement import SAVINGS, candidates, slot_at
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.proposal import Proposal
from eenas.designs.repair import fit
from eenas.designs.space import Space


@dataclass(frozen=True, kw_only=True)
class Found:
    """Branches in depth order, with the record of how they were found.

    `facts` is JSON data for the design's provenance; `notes` are lines for its repairs, such as a fallback.
    """

    branches: tuple[Placed, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Chooser: TypeAlias = Callable[[tuple[Placed, ...], Mapping[str, Scalar]], Found]
"""A function that keeps some of the candidates: one branch per possible cut point, in depth order.

The values are those of `[placement]` for the kind of placement, and `most`, the largest number of branches to keep (at
least 1). An open candidate (`Branch.is_open`) may be kept open or with its structure found. At least one must be kept.
"""

Learner: TypeAlias = Callable[[tuple[Placed, ...]], Found]
"""A function that returns the branches with every open one replaced by a branch with a found structure."""


@dataclass(frozen=True, kw_only=True)
class CandidateBranches:
    """The candidate branches in depth order, the repairs by cut point, and the reasons for missing ones."""

    branches: tuple[Placed, ...]
    repairs: Mapping[str, str]
    refused: tuple[str, ...]


def is_learned(space: Space, proposal: Proposal) -> bool:
    """Whether the placement of a proposal is left to a chooser."""
    kind = space.value(proposal, "placement.kind")
    return kind == "gating" or (kind == "metric" and space.value(proposal, "placement.metric") in SAVINGS)


def slot_values(proposal: Proposal, space: Space, slot: int) -> dict[str, Scalar]:
    """Return the structure and sizes that a proposal draws for a slot (from 1)."""
    return {key: space.value(proposal, f"slot{slot}.{key}") for key in ("structure", *SIZES)}


def candidate_branches(
    proposal: Proposal, space: Space, backbone: ProfiledBackbone, slots: list[int]
) -> CandidateBranches:
    """Return a branch for every candidate cut point in the bands of `slots` that keeps the cost cap.

    Structure and sizes are those of the slot whose band of MACs holds the cut point, repaired as in every slot.
    """
    profile, found = backbone.profile, list[Placed]()
    repairs: dict[str, str] = {}
    refused: dict[int, list[tuple[str, str | None]]] = {}
    for index in candidates(profile):
        slot = slot_at(profile.share(index, "macs"), space.branches)
        if slot not in slots:
            continue
        name = profile.cut_points[index].name
        fitted = fit(slot_values(proposal, space, slot), space, slot, profile, index, backbone.branch_macs)
        if fitted.branch is None:
            refused.setdefault(slot, []).append((name, fitted.repair))
            continue
        found.append(Placed(cut_point=name, branch=fitted.branch))
        if fitted.repair is not None:
            repairs[name] = f"slot {slot}: at {name}, {fitted.repair}"
    lines = []
    for slot, ((first, reason), *others) in refused.items():
        rest = f"; nor at {', '.join(name for name, _ in others)}" if others else ""
        lines.append(f"slot {slot}: at {first}, {reason}{rest}")
    return CandidateBranches(branches=tuple(found), repairs=repairs, refused=tuple(lines))
