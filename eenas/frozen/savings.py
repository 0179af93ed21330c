"""Placement by savings: the gain of each branch alone, and the expected savings of a set of branches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.subsets import Subset, SubsetObjective

THRESHOLD = 0.8
"""The common threshold at which savings and gains are counted."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The candidates `chosen` (rising), the gain of each and their joint savings, as shares of the backbone's MACs.

    `fallback` is one line that names the branch taken if the rule admits none, else empty.
    """

    chosen: Subset
    gains: tuple[float, ...]
    savings: float
    fallback: str = ""


def place_by_gain(table: CandidateTable, *, most: int, threshold: float = THRESHOLD) -> Placement:
    """Return the candidates that pass the gain test of CDL (Panda, Sengupta and Roy 2016, section III), at most `most`.

    In depth order, a candidate is admitted if it saves more for the samples that leave there than it costs the others,
    `G = (c_base - a) N_leaving - a (N_reaching - N_leaving) > 0`: c_base are the MACs of the backbone behind it and a
    its own, and N counts the samples that no candidate admitted before it has let leave. While more than `most` are
    admitted, the one with the smallest gain is removed and the gains of the others are counted again. Of several
    structures at a cut point, the one with the highest gain is tested. If none passes, the single candidate with the
    highest gain is returned.
    """
    fires = table.confidences() >= threshold
    stages: list[int] = []
    for group in table.groups:
        best = max(group, key=lambda option: _gains(table, fires, (*stages, option))[-1])
        if _gains(table, fires, (*stages, best))[-1] > 0:
            stages.append(best)
    fallback = ""
    if not stages:
        stages = [max(range(len(table.names)), key=lambda option: _gains(table, fires, (option,))[0])]
        fallback = f"no branch saves more than it costs; took the one with the smallest loss, {table.names[stages[0]]}"
    while len(stages) > most:
        gains = _gains(table, fires, tuple(stages))
        stages.pop(int(np.argmin(gains)))
    return _placement(table, tuple(stages), threshold, fallback)


def place_by_savings(table: CandidateTable, *, count: int, threshold: float = THRESHOLD) -> Placement:
    """Return the `count` candidates with the largest joint savings `sum_k P(exit k) (b_K - c_k)`, final exit included.

    The savings are the backbone's cost less the expected cost, which includes every branch on the way. Exact if all
    choices can be tried, otherwise grown branch by branch and polished.
    """
    objective = SubsetObjective(table=table, accuracy_weight=0.0, cost_weight=1.0, thresholds=(threshold,))
    chosen, _ = objective.best(count=min(count, len(table.groups)))
    return _placement(table, chosen, threshold, "")


def _placement(table: CandidateTable, chosen: Subset, threshold: float, fallback: str) -> Placement:
    objective = SubsetObjective(table=table, accuracy_weight=0.0, cost_weight=1.0, thresholds=(threshold,))
    gains = _gains(table, table.confidences() >= threshold, chosen)
    return Placement(chosen=chosen, gains=gains, savings=1.0 - objective.evaluate(chosen).cost, fallback=fallback)


def _gains(table: CandidateTable, fires: NDArray[np.bool_], stages: Subset) -> tuple[float, ...]:
    """Return the gain per sample of each of the candidates `stages`, as a share of the backbone's MACs."""
    reaching = np.ones(len(table), dtype=np.bool_)
    found = []
    for option in stages:
        leaving = reaching & fires[:, option]
        rest = table.total_macs - table.backbone_macs[option]
        gain = rest * leaving.sum() - table.branch_macs[option] * reaching.sum()
        found.append(float(gain) / (len(table) * table.total_macs))
        reaching = reaching & ~leaving
    return tuple(found)
