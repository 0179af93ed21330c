"""Placement by what branches save: the gain of each stage, and the expected savings of all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.subsets import Judge, Subset

THRESHOLD = 0.8
"""The common threshold at which savings and gains are counted."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The candidates `chosen`, rising; what each of them is worth, and all together, as shares of the backbone's MACs.

    `fallback` is one line on what was taken instead where the rule admits no candidate, else empty.
    """

    chosen: Subset
    gains: tuple[float, ...]
    savings: float
    fallback: str = ""


def place_by_gain(table: CandidateTable, *, most: int, threshold: float = THRESHOLD) -> Placement:
    """The candidates that pass the gain test of CDL (Panda, Sengupta and Roy 2016, section III), at most `most`.

    In depth order a candidate is admitted when what it saves its leavers exceeds what it costs the others,
    `G = (c_base - a) N_leaving - a (N_reaching - N_leaving) > 0`, with c_base the MACs of the backbone behind it, a its
    own, and N counted for those that the admitted ones before it let go on. While too many stand, the one with the
    smallest gain goes, and the gains of the others are counted anew. Of several structures at a cut point the one with
    the highest gain is tested. Where none passes, the single candidate with the highest gain is taken.
    """
    fires = table.scores() >= threshold
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
    """The `count` candidates that together save most: `sum_k P(exit k) (b_K - c_k)` is highest, final exit included.

    That is the backbone's cost less the expected cost; every branch on the way is paid for. Exact where all choices
    can be tried, else grown branch by branch and polished.
    """
    judge = Judge(table=table, accuracy_weight=0.0, cost_weight=1.0, thresholds=(threshold,))
    chosen, _ = judge.best(count=min(count, len(table.groups)))
    return _placement(table, chosen, threshold, "")


def _placement(table: CandidateTable, chosen: Subset, threshold: float, fallback: str) -> Placement:
    judge = Judge(table=table, accuracy_weight=0.0, cost_weight=1.0, thresholds=(threshold,))
    gains = _gains(table, table.scores() >= threshold, chosen)
    return Placement(chosen=chosen, gains=gains, savings=1.0 - judge.worth(chosen).cost, fallback=fallback)


def _gains(table: CandidateTable, fires: NDArray[np.bool_], stages: Subset) -> tuple[float, ...]:
    """The gain of each stage per sample, as shares of the backbone's MACs, where these stages stand."""
    reaching = np.ones(len(table), dtype=np.bool_)
    found = []
    for option in stages:
        leaving = reaching & fires[:, option]
        rest = table.total_macs - table.backbone_macs[option]
        gain = rest * leaving.sum() - table.branch_macs[option] * reaching.sum()
        found.append(float(gain) / (len(table) * table.total_macs))
        reaching = reaching & ~leaving
    return tuple(found)
