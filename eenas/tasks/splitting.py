"""Index sets of the splits: stratified, seeded and disjoint."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.seeding import derive
from eenas.tasks.spec import SplitSpec

Indices = NDArray[np.int64]

LEAST = {"train": 2}  # of each class; two, so that a part of train can be held out without losing a class


def divide(
    labels: Indices, classes: Sequence[str], wanted: Mapping[str, SplitSpec], *, source: str, seed: int
) -> dict[str, Indices]:
    """Sorted, disjoint positions in one source for each split of `wanted`, every class in its proportion.

    `labels` [n] are class numbers in 0..C-1. Each split holds every class (train at least twice) and is as large as
    its spec says; a share too small for that grows. A class is off its exact share by the rounding only, or where
    those minima ask for it. Raises TaskError when the sizes ask for more than there is, a count is too small for the
    classes, or a class has too few samples.
    """
    counts = np.bincount(labels, minlength=len(classes)).astype(np.int64)
    _check_classes(counts, classes, list(wanted), source)
    sizes = _sizes(len(labels), len(classes), wanted, source)
    table = allocate(counts, list(sizes.values()), [LEAST.get(name, 1) for name in sizes])
    order, starts = _shuffled_by_class(labels, counts, source, seed)
    parts: dict[str, list[Indices]] = {name: [] for name in sizes}
    for number, start in enumerate(starts):
        for name, take in zip(sizes, table[:, number], strict=True):
            parts[name].append(order[start : start + take])
            start += take
    return {name: np.sort(np.concatenate(pieces)) for name, pieces in parts.items()}


def hold_out(labels: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Sorted positions `(kept, held)`: `held` is about `share` of `labels`, stratified; no class leaves `kept`.

    `held` has at least one sample and `kept` at least one of each class. Raises TaskError for a share outside (0, 1)
    or when every class has only one sample.
    """
    if not 0.0 < share < 1.0:
        raise TaskError(f"the share to hold out must lie strictly between 0 and 1, got {shortened(share)}")
    present, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.astype(np.int64)
    counts = np.bincount(numbers, minlength=len(present)).astype(np.int64)
    spare = len(labels) - len(present)
    if spare < 1:
        raise TaskError(f"nothing can be held out of {len(labels)} samples, one of each class; give more samples")
    size = min(max(1, round(share * len(labels))), spare)
    least = 1 if size >= len(present) and counts.min() >= 2 else 0
    table = allocate(counts, [size, len(labels) - size], [least, 1])
    order, starts = _shuffled_by_class(numbers, counts, "held out", seed)
    held = np.concatenate([order[start : start + take] for start, take in zip(starts, table[0], strict=True)])
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def allocate(counts: Indices, sizes: Sequence[int], least: Sequence[int]) -> Indices:
    """How many of each class each split takes: [splits, classes], rows summing to `sizes`.

    Split s gets at least `least[s]` of every class and otherwise `sizes[s] * counts / counts.sum()`, rounded. The
    caller has made sure that this is possible: `sizes[s] >= least[s] * C`, `counts >= sum(least)` and
    `counts.sum() >= sum(sizes)`.
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
    """Sizes in samples; a split that takes the rest comes last."""
    fixed: dict[str, int] = {}
    for name, spec in wanted.items():
        if spec.size is not None:
            least = LEAST.get(name, 1) * classes
            fixed[name] = spec.size if isinstance(spec.size, int) else max(least, round(spec.size * total))
    asked = sum(fixed.values())
    if asked > total:
        listed = ", ".join(f"{name} {size}" for name, size in fixed.items())
        raise TaskError(
            f"the {source} source has {total} samples, but the splits ask for {asked} ({listed}); ask for less"
        )
    sizes = fixed | {name: total - asked for name, spec in wanted.items() if spec.size is None}
    for name, size in sizes.items():
        need = LEAST.get(name, 1) * classes
        if size < need:
            raise TaskError(
                f"the {name} split gets {size} of the {total} samples of the {source} source, but needs {need} "
                f"(at least {LEAST.get(name, 1)} of each of {classes} classes); give it more or the other splits less"
            )
    return sizes


def _check_classes(counts: Indices, classes: Sequence[str], splits: Sequence[str], source: str) -> None:
    need = sum(LEAST.get(name, 1) for name in splits)
    if len(counts) and counts.min() < need:
        short = int(np.argmin(counts))
        raise TaskError(
            f"class {classes[short]!r} has {counts[short]} samples in the {source} source, but the splits from it "
            f"({', '.join(splits)}) need at least {need} of each class; add samples or leave the class out"
        )


def _shuffled_by_class(labels: Indices, counts: Indices, source: str, seed: int) -> tuple[Indices, Indices]:
    """Positions grouped by class, each group in its own seeded order, and where each group starts."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    for number, (start, count) in enumerate(zip(starts, counts, strict=True)):
        generator = np.random.default_rng(derive(seed, "split", source, number))
        order[start : start + count] = generator.permutation(order[start : start + count])
    return order, starts
