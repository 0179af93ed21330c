"""Columns of splits and the best split, held against slow code that walks each sample through its tiers."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eenas.errors import MeasurementError
from eenas.measurement.tiers.best_split import best_split, mean_of_splits, shortest_path
from eenas.measurement.tiers.part_costs import PartCosts, reaching


def walked(costs: PartCosts, split: tuple[int, ...], exit_: int, *, cloud_branches: bool) -> float:
    """The cost of one sample that leaves at an exit, added up step by step."""
    tier, total = 0, 0.0
    last = len(costs.after) - 1
    for done in range(costs.length + 1):
        for k, after in enumerate(costs.after):
            if after == done and (tier == 0 or cloud_branches or k == last):
                total += costs.branches[tier, k]
                if k == exit_ and (tier == 0 or cloud_branches):
                    return total
        while done < costs.length and tier < costs.tiers - 1 and split[tier] == done:
            total += costs.hops[tier, done]
            tier += 1
        if done < costs.length:
            total += costs.segments[tier, done]
    return total


@st.composite
def instances(draw: st.DrawFn, tiers: int | None = None) -> tuple[PartCosts, NDArray[np.float64]]:
    count = draw(st.integers(2, 4)) if tiers is None else tiers
    length, exits = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    after = sorted(draw(st.lists(st.integers(1, length), min_size=exits - 1, max_size=exits - 1)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0]))
    costs = PartCosts(
        segments=rng.exponential(1.0, (count, length)) / np.arange(1, count + 1)[:, None],
        branches=rng.exponential(0.2, (count, exits)),
        hops=rng.exponential(scale, (count - 1, length + 1)),
        after=(*after, length),
    )
    shares = rng.dirichlet(np.full(exits, 0.5))
    shares[rng.random(exits) < 0.2] = 0.0
    return costs, shares / shares.sum() if shares.sum() > 0 else np.eye(exits)[-1]


@settings(max_examples=100, deadline=None)
@given(instances(), st.booleans())
def test_columns_are_the_costs_of_samples_walked_through_their_tiers(
    instance: tuple[PartCosts, NDArray[np.float64]], cloud_branches: bool
) -> None:
    costs, _ = instance
    assert [tuple(split) for split in costs.splits] == list(
        combinations_with_replacement(range(costs.length + 1), costs.tiers - 1)
    )
    wanted = [
        [walked(costs, tuple(split), k, cloud_branches=cloud_branches) for k in range(len(costs.after))]
        for split in costs.splits.tolist()
    ]
    np.testing.assert_allclose(costs.columns(costs.splits, cloud_branches=cloud_branches), wanted, rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(instances(), st.booleans())
def test_the_shortest_path_is_the_best_of_all_splits(
    instance: tuple[PartCosts, NDArray[np.float64]], cloud_branches: bool
) -> None:
    costs, shares = instance
    means = costs.columns(costs.splits, cloud_branches=cloud_branches) @ shares
    found = shortest_path(costs, shares, cloud_branches=cloud_branches)
    assert found.mean == pytest.approx(means.min(), rel=1e-9)
    own = costs.columns([found.split], cloud_branches=cloud_branches) @ shares
    assert own[0] == pytest.approx(found.mean, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(instances(2), st.booleans())
def test_prefix_sums_give_the_mean_of_every_split(
    instance: tuple[PartCosts, NDArray[np.float64]], cloud_branches: bool
) -> None:
    costs, shares = instance
    wanted = costs.columns(costs.splits, cloud_branches=cloud_branches) @ shares
    np.testing.assert_allclose(mean_of_splits(costs, shares, cloud_branches=cloud_branches), wanted, rtol=1e-9)
    found = best_split(costs, shares, cloud_branches=cloud_branches)
    assert found.mean == pytest.approx(wanted.min(), rel=1e-9)
    assert found.mean == pytest.approx(shortest_path(costs, shares, cloud_branches=cloud_branches).mean, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(instances())
def test_the_better_form_of_branches_is_chosen(instance: tuple[PartCosts, NDArray[np.float64]]) -> None:
    costs, shares = instance
    forms = [best_split(costs, shares, cloud_branches=each).mean for each in (True, False)]
    assert best_split(costs, shares).mean == min(forms)


def test_the_mean_is_that_of_drawn_samples() -> None:
    """Monte Carlo: 20,000 samples leave by chance, each walks through its tiers."""
    rng = np.random.default_rng(3)
    costs = PartCosts(
        segments=rng.exponential(1.0, (3, 5)),
        branches=rng.exponential(0.2, (3, 3)),
        hops=rng.exponential(0.5, (2, 6)),
        after=(1, 3, 5),
    )
    shares = np.array([0.5, 0.2, 0.3])
    found = shortest_path(costs, shares)
    drawn = rng.choice(3, size=20_000, p=shares)
    each = np.array([walked(costs, found.split, k, cloud_branches=True) for k in range(3)])
    assert each[drawn].mean() == pytest.approx(found.mean, rel=0.02)


def test_hand_computed_splits() -> None:
    """Two segments of 10 ms here and 1 ms there, a branch of 1 ms between; half of the samples leave at it."""
    costs = PartCosts(segments=[[10, 10], [1, 1]], branches=[[1, 0], [0.1, 0]], hops=[[5, 3, 99]], after=(1, 2))
    assert costs.columns(costs.splits).tolist() == [[6.1, 7.1], [11, 15], [11, 21]]
    assert costs.columns(costs.splits, cloud_branches=False).tolist() == [[7, 7], [11, 15], [11, 21]]
    assert mean_of_splits(costs, [0.5, 0.5]).tolist() == pytest.approx([6.6, 13, 16])
    assert best_split(costs, [0.5, 0.5]).split == (0,)
    assert best_split(costs, [0.0, 1.0]).cloud_branches is False  # nobody leaves at the branch


def test_of_equal_splits_the_one_that_stays_longest_is_best() -> None:
    costs = PartCosts(segments=np.ones((2, 3)), branches=np.zeros((2, 1)), hops=np.zeros((1, 4)), after=(3,))
    assert best_split(costs, [1.0]).split == (3,)
    assert shortest_path(costs, [1.0]).split == (3,)


def test_a_gateway_may_only_pass_on() -> None:
    costs = PartCosts(
        segments=[[10, 10], [9, 9], [1, 1]], branches=np.zeros((3, 1)), hops=[[1, 1, 0], [1, 1, 0]], after=(2,)
    )
    assert shortest_path(costs, [1.0]).split == (0, 0)


@pytest.mark.parametrize("split", [[[3]], [[-1]], [[0, 0]], [0]])
def test_splits_behind_the_last_segment_are_refused(split: list[list[int]]) -> None:
    costs = PartCosts(segments=np.ones((2, 2)), branches=np.zeros((2, 1)), hops=np.zeros((1, 3)), after=(2,))
    with pytest.raises(MeasurementError, match="a split of 2 tiers is 1 numbers from 0 to 2"):
        costs.columns(split)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"segments": [[1.0, -1], [1, 1]]}, "segments of tiers must be finite numbers from 0"),
        ({"branches": np.zeros((2, 3))}, "need branches"),
        ({"hops": np.zeros((2, 3))}, "need hops"),
        ({"after": (1,)}, "last one after all 2 segments"),
    ],
)
def test_wrong_shapes_and_values_are_refused(changed: dict[str, object], wrong: str) -> None:
    right = {"segments": np.ones((2, 2)), "branches": np.zeros((2, 1)), "hops": np.zeros((1, 3)), "after": (2,)}
    with pytest.raises(MeasurementError, match=wrong):
        PartCosts(**{**right, **changed})  # type: ignore[arg-type]


def test_shares_must_be_those_of_the_exits() -> None:
    costs = PartCosts(segments=np.ones((2, 2)), branches=np.zeros((2, 2)), hops=np.zeros((1, 3)), after=(1, 2))
    for shares in ([1.0], [0.5, 0.4], [1.5, -0.5]):
        with pytest.raises(MeasurementError, match="shares of leaving must be 2 numbers"):
            best_split(costs, shares)
    assert reaching([0.5, 0.2, 0.3]) == pytest.approx([1.0, 0.5, 0.3])
