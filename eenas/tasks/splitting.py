"""The positions of the samples of each split: stratified, seeded and disjoint."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, plural
from eenas.escaping import shortened
from eenas.seeding import derive
from eenas.tasks.spec import SplitSpec

Indices = NDArray[np.int64]

MIN_PER_CLASS = {"train": 2}  # else 1; with two, part of train can be held out without losing a class


def divide(
    labels: Indices, classes: Sequence[str], wanted: Mapping[str, SplitSpec], *, source: str, seed: int
) -> dict[str, Indices]:
    """Return sorted, disjoint positions in one source for each split of `wanted`, stratified by class.

    `labels` [n] are class numbers in 0..C-1. Every split holds at least one sample of each class (train two) and has
    the size of its spec; a share too small for that is enlarged. Apart from these minima, a class deviates from its
    exact share by rounding only.

    Raises TaskError if the sizes exceed the number of samples, a count is too small for the classes, or a class has too
    few samples.
    """
    counts = np.bincount(labels, minlength=len(classes)).astype(np.int64)
    _check_classes(counts, classes, list(wanted), source)
    sizes = _sizes(len(labels), len(classes), wanted, source)
    table = allocate(counts, list(sizes.values()), [MIN_PER_CLASS.get(name, 1) for name in sizes])
    order, starts = _shuffled_by_class(labels, counts, source, seed)
    parts: dict[str, list[Indices]] = {name: [] for name in sizes}
    for number, start in enumerate(starts):
        for name, take in zip(sizes, table[:, number], strict=True):
            parts[name].append(order[start : start + take])
            start += take
    return {name: np.sort(np.concatenate(pieces)) for name, pieces in parts.items()}


def hold_out(labels: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Return sorted positions `(kept, held)`, where `held` is a stratified part of about `share` of `labels`.

    `held` has at least one sample, and `kept` at least one of each class.

    Raises TaskError for a share outside (0, 1), or if every class has only one sample.
    """
    if not 0.0 < share < 1.0:
        raise TaskError(f"the share to hold out must lie strictly between 0 and 1, got {shortened(share)}")
    present, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.astype(np.int64)
    counts = np.bincount(numbers, minlength=len(present)).astype(np.int64)
    spare = len(labels) - len(present)
    if spare < 1:
        raise TaskError(f"no sample can be held out of {len(labels)}, one of each class; give more samples")
    size = min(max(1, round(share * len(labels))), spare)
    least = 1 if size >= len(present) and counts.min() >= 2 else 0
    table = allocate(counts, [size, len(labels) - size], [least, 1])
    order, starts = _shuffled_by_class(numbers, counts, "held out", seed)
    held = np.concatenate([order[start : start + take] for start, take in zip(starts, table[0], strict=True)])
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def allocate(counts: Indices, sizes: Sequence[int], least: Sequence[int]) -> Indices:
    """Return the number of samples of each class in each split: [splits, classes], with rows summing to `sizes`.

    Split s gets at least `least[s]` samples of every class and otherwise `sizes[s] * counts / counts.sum()`, rounded.
    The caller guarantees that this is possible: `sizes[s] >= least[s] * C`, `counts >= sum(least)` and `counts.sum() >=
    sum(sizes)`.
    """
    left = counts.copy()
    rows = []
    for position, size in enumerate(sizes):
        low = least[position]
        high = left - sum(least[position + 1 :])
        quota = counts * (size / counts.sum())
        row = np.clip(np.floor(quota).astype(np.int64), low, high)
        while row.sum() < size:
            row[np.argmax(np.where(row < high, quota - row, -np.inf))] += 1
        while row.sum() > size:
            row[np.argmax(np.where(row > low, row - quota, -np.inf))] -= 1
        rows.append(row)
        left -= row
    return np.stack(rows)


def _sizes(total: int, classes: int, wanted: Mapping[str, SplitSpec], source: str) -> dict[str, int]:
    """Return the sizes in samples. A split that takes the rest comes last."""
    fixed: dict[str, int] = {}
    for name, spec in wanted.items():
        if spec.size is not None:
            least = MIN_PER_CLASS.get(name, 1) * classes
            fixed[name] = spec.size if isinstance(spec.size, int) else max(least, round(spec.size * total))
    asked = sum(fixed.values())
    if asked > total:
        listed = ", ".join(f"{name} {size}" for name, size in fixed.items())
        raise TaskError(
            f"the {source} source has {plural(total, 'sample')}, but the splits ask for {asked} ({listed}); ask for "
            "less"
        )
    sizes = fixed | {name: total - asked for name, spec in wanted.items() if spec.size is None}
    for name, size in sizes.items():
        need = MIN_PER_CLASS.get(name, 1) * classes
        if size < need:
            raise TaskError(
                f"the {name} split gets {size} of the {plural(total, 'sample')} of the {source} source, but needs "
                f"{need} "
                f"(at least {MIN_PER_CLASS.get(name, 1)} of each of {plural(classes, 'class', 'classes')}); "
                "give it more or the other splits less"
            )
    return sizes


def _check_classes(counts: Indices, classes: Sequence[str], splits: Sequence[str], source: str) -> None:
    need = sum(MIN_PER_CLASS.get(name, 1) for name in splits)
    if len(counts) and counts.min() < need:
        short = int(np.argmin(counts))
        raise TaskError(
            f"class {classes[short]!r} has {plural(int(counts[short]), 'sample')} in the {source} source, but the "
            "splits from it "
            f"({', '.join(splits)}) need at least {need} of each class; add samples or leave the class out"
        )


def _shuffled_by_class(labels: Indices, counts: Indices, source: str, seed: int) -> tuple[Indices, Indices]:
    """Return the positions grouped by class, each group shuffled with its own seed, and the start of each group."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    for number, (start, count) in enumerate(zip(starts, counts, strict=True)):
        generator = np.random.default_rng(derive(seed, "split", source, number))
        order[start : start + count] = generator.permutation(order[start : start + count])
    return order, starts
