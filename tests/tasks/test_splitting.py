"""Splits are disjoint, stratified, seeded and as large as asked."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eenas.errors import TaskError
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.splitting import MIN_PER_CLASS, allocate, divide, hold_out

NAMES = ("train", "calibration", "validation", "test")


def labels_of(counts, seed):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)


counts_of_classes = st.lists(st.integers(5, 60), min_size=2, max_size=6)
shares = st.tuples(*[st.floats(0.02, 0.3)] * 3)


def plan(total, fractions, with_rest):
    sizes = [round(total * fraction) for fraction in fractions]
    wanted = {name: SplitSpec(source="train", size=size) for name, size in zip(NAMES[1:], sizes, strict=True) if size}
    rest = SplitSpec(source="train", size=None if with_rest else max(1, (total - sum(sizes)) // 2))
    return {"train": rest} | wanted


@settings(max_examples=150, deadline=None)
@given(counts_of_classes, shares, st.booleans(), st.integers(0, 2**31))
def test_splits_are_disjoint_stratified_and_of_the_size_asked_for(counts, fractions, with_rest, seed):
    labels, names = labels_of(counts, seed), [str(number) for number in range(len(counts))]
    wanted = plan(len(labels), fractions, with_rest)
    sizes = {name: spec.size for name, spec in wanted.items()}
    sizes["train"] = sizes["train"] or len(labels) - sum(size for size in sizes.values() if size)
    assume(all(size >= MIN_PER_CLASS.get(name, 1) * len(counts) for name, size in sizes.items()))
    parts = divide(labels, names, wanted, source="train", seed=seed)
    together = np.concatenate(list(parts.values()))
    assert len(np.unique(together)) == len(together)
    assert not with_rest or len(together) == len(labels)
    assert {name: len(part) for name, part in parts.items()} == sizes
    for name, part in parts.items():
        assert np.all(np.diff(part) > 0)
        assert np.bincount(labels[part], minlength=len(counts)).min() >= MIN_PER_CLASS.get(name, 1)
    again = divide(labels, names, wanted, source="train", seed=seed)
    assert all(np.array_equal(part, again[name]) for name, part in parts.items())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(100, 400), min_size=2, max_size=8), st.tuples(*[st.floats(0.1, 0.3)] * 3))
def test_every_class_has_its_share_up_to_rounding(counts, fractions):
    numbers = np.array(counts)
    sizes = [round(fraction * numbers.sum()) for fraction in fractions]
    sizes.append(int(numbers.sum()) - sum(sizes))
    table = allocate(numbers, sizes, [1, 1, 1, 2])
    exact = np.outer(sizes, numbers) / numbers.sum()
    assert np.array_equal(table.sum(axis=1), sizes)
    assert np.array_equal(table.sum(axis=0), numbers)
    assert np.abs(table - exact)[:3].max() < 2
    assert np.abs(table - exact)[3].max() < 4


def test_rare_classes_get_their_minimum_everywhere():
    labels = labels_of([5, 995], 0)
    parts = divide(labels, ["rare", "common"], SplitsSpec().with_defaults(test_source=False), source="train", seed=0)
    rare = {name: int((labels[part] == 0).sum()) for name, part in parts.items()}
    assert rare == {"train": 2, "calibration": 1, "validation": 1, "test": 1}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 600,
        "calibration": 100,
        "validation": 150,
        "test": 150,
    }


def test_other_seeds_draw_other_samples_and_other_sources_too():
    labels = labels_of([50, 50], 0)
    wanted = SplitsSpec().with_defaults(test_source=False)
    first, other = (divide(labels, "ab", wanted, source="train", seed=seed)["test"] for seed in (0, 1))
    elsewhere = divide(labels, "ab", wanted, source="test", seed=0)["test"]
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, elsewhere)


def test_the_draw_does_not_follow_the_order_of_the_data():
    labels = np.repeat(np.arange(2), 500)
    part = divide(labels, "ab", SplitsSpec().with_defaults(test_source=False), source="train", seed=3)["test"]
    for start in (0, 500):
        here = part[(part >= start) & (part < start + 500)] - start
        assert 200 < here.mean() < 300


def test_a_share_too_small_for_the_classes_grows_and_a_count_is_refused():
    labels = labels_of([8] * 20, 0)
    names = [str(number) for number in range(20)]
    parts = divide(labels, names, SplitsSpec().with_defaults(test_source=False), source="train", seed=0)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 92,
        "calibration": 20,
        "validation": 24,
        "test": 24,
    }
    wanted = SplitsSpec(calibration=SplitSpec(source="train", size=16)).with_defaults(test_source=False)
    with pytest.raises(TaskError, match="calibration split gets 16 of the 160 samples"):
        divide(labels, names, wanted, source="train", seed=0)


def test_sizes_larger_than_the_source_are_refused_with_the_numbers():
    wanted = {"calibration": SplitSpec(source="test", size=80), "test": SplitSpec(source="test", size=0.5)}
    with pytest.raises(TaskError, match=r"test source has 100 samples.*ask for 130 \(calibration 80, test 50\)"):
        divide(labels_of([50, 50], 0), "ab", wanted, source="test", seed=0)


def test_a_rest_of_nothing_is_refused():
    wanted = {"train": SplitSpec(source="train"), "test": SplitSpec(source="train", size=100)}
    with pytest.raises(TaskError, match="train split gets 0 of the 100 samples"):
        divide(labels_of([50, 50], 0), "ab", wanted, source="train", seed=0)


def test_a_class_with_too_few_samples_is_named():
    wanted = SplitsSpec().with_defaults(test_source=False)
    with pytest.raises(TaskError, match=r"class 'owl' has 4 samples.*need at least 5 of each class"):
        divide(labels_of([96, 4], 0), ["cat", "owl"], wanted, source="train", seed=0)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_holding_out_parts_the_samples_and_keeps_every_class(counts, share, seed):
    labels = labels_of(counts, seed)
    if max(counts) == 1:
        with pytest.raises(TaskError, match="no sample can be held out"):
            hold_out(labels, share, seed)
        return
    kept, held = hold_out(labels, share, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert set(labels[kept]) == set(range(len(counts)))
    assert len(held) == min(max(1, round(share * len(labels))), len(labels) - len(counts))
    if min(counts) >= 20 and 0.2 < share < 0.8:
        assert np.abs(np.bincount(labels[held], minlength=len(counts)) - share * np.array(counts)).max() < 3


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(TaskError, match="strictly between 0 and 1"):
        hold_out(labels_of([5, 5], 0), share, 0)
