"""Gain and expected savings against the sums written out."""

import itertools

import numpy as np
import pytest

from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.savings import THRESHOLD, place_by_gain, place_by_savings
from tests.frozen.candidate_tables import made_up_table


def slow_savings(table: CandidateTable, chosen: tuple[int, ...]) -> float:
    """sum_k P(exit k) (b_K - c_k) as a share of b_K, sample by sample."""
    exits, scores, total = table.exit_table(chosen), table.confidences(), 0.0
    for sample in range(len(table)):
        passed = [k for k, index in enumerate(chosen) if scores[sample, index] >= THRESHOLD]
        total += table.total_macs - exits.costs["macs"][passed[0] if passed else len(chosen)]
    return total / len(table) / table.total_macs


def slow_gain(table: CandidateTable, before: tuple[int, ...], option: int) -> float:
    """CDL's gain of one more stage, per sample and as a share of the backbone."""
    scores = table.confidences()
    reaching = leaving = 0
    for sample in range(len(table)):
        if any(scores[sample, index] >= THRESHOLD for index in before):
            continue
        reaching += 1
        leaving += scores[sample, option] >= THRESHOLD
    base, own = table.total_macs - table.backbone_macs[option], table.branch_macs[option]
    return float(((base - own) * leaving - own * (reaching - leaving)) / len(table) / table.total_macs)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_choice_that_saves_most(count: int) -> None:
    table = made_up_table(6, samples=120, branch=0.05)
    place = place_by_savings(table, count=count)
    every = {chosen: slow_savings(table, chosen) for chosen in itertools.combinations(range(6), count)}
    assert place.savings == pytest.approx(max(every.values()))
    assert place.savings == pytest.approx(every[place.chosen])


@pytest.mark.parametrize("branch", [0.02, 0.1, 0.3])
def test_stages_are_admitted_one_by_one(branch: float) -> None:
    table = made_up_table(5, samples=120, branch=branch)
    admitted: tuple[int, ...] = ()
    for option in range(5):
        if slow_gain(table, admitted, option) > 0:
            admitted = (*admitted, option)
    place = place_by_gain(table, most=5)
    assert place.chosen == admitted
    gains = [slow_gain(table, admitted[:at], option) for at, option in enumerate(admitted)]
    assert place.gains == pytest.approx(gains)
    assert place.savings == pytest.approx(slow_savings(table, admitted))


def test_too_many_lose_the_least_useful() -> None:
    table = made_up_table(6, samples=120)
    everything = place_by_gain(table, most=6)
    place = place_by_gain(table, most=2)
    assert len(everything.chosen) > 2
    assert len(place.chosen) == 2
    assert set(place.chosen) <= set(everything.chosen)
    assert min(place.gains) > 0


def test_the_structure_with_the_highest_gain() -> None:
    table = made_up_table(3, structures=2, samples=200)
    place = place_by_gain(table, most=3)
    first = place.chosen[0]
    group = next(group for group in table.groups if first in group)
    assert slow_gain(table, (), first) == max(slow_gain(table, (), option) for option in group)


def test_nothing_saves_anything() -> None:
    table = made_up_table(3, branch=3.0)
    place = place_by_gain(table, most=3)
    assert len(place.chosen) == 1
    assert place.savings < 0
    assert place.fallback.startswith("no branch saves more than it costs; took the one with the smallest loss, block")
    assert np.isfinite(place.gains).all()
