"""The content of a task, sample by sample, from which later changes of the data are found."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.specs import digest
from eenas.tasks.task import Task

NAMED = 3
"""The number of samples of each kind that a message names."""
_MAX_BYTES = 1 << 30  # of a decompressed record
_LABEL = np.uint64(0x9E3779B97F4A7C15)  # odd: each label changes a digest differently


@dataclass(frozen=True, eq=False)
class Contents:
    """The names and 64-bit digests of the samples of each source, labels included, and the settings of the task.

    `settings` maps "classes", "splits", "input_size" and so on to plain values; `digest` is the digest of the task.
    """

    digest: str
    settings: Mapping[str, Any]
    samples: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, task: Task) -> "Contents":
        """Return the current content of `task`."""
        splits = digest([[split.name, split.source, len(split)] for split in task.splits])
        settings = {"classes": list(task.classes), "splits": splits, **_settings(task)}
        samples: dict[str, Mapping[str, int]] = {}
        for source in dict.fromkeys(split.source for split in task.splits):
            held = next(split.samples for split in task.splits if split.source == source)
            numbers = held.digests().copy()
            for split in task.splits:
                if split.source == source:
                    numbers[split.rows] ^= (split.labels.astype(np.uint64) + np.uint64(1)) * _LABEL
            samples[source] = dict(zip(held.names, numbers.tolist(), strict=True))
        return cls(task.digest, settings, samples)

    def to_bytes(self) -> bytes:
        """Return the content of a file, the inverse of `from_bytes`."""
        table = {"digest": self.digest, "settings": self.settings, "samples": self.samples}
        return zlib.compress(json.dumps(table).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Contents":
        """Return the contents from the bytes of `to_bytes`.

        Raises TaskError for other bytes.
        """
        try:
            text = zlib.decompressobj().decompress(data, _MAX_BYTES)
            table = json.loads(text)
            samples = {
                str(source): {str(name): int(number) for name, number in found.items()}
                for source, found in table["samples"].items()
            }
            return cls(str(table["digest"]), dict(table["settings"]), samples)
        except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TaskError(f"the record of the data cannot be read ({error}); search again") from None


@dataclass(frozen=True)
class SourceChanges:
    """The names of samples that were added to, removed from and changed in one source."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def words(self) -> str:
        """Return counts and a few names: "2 added (a.png, b.png), 1 changed (c.png)"."""
        kinds = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return ", ".join(f"{len(names):,} {kind} ({_listed(names)})" for kind, names in kinds if names)


@dataclass(frozen=True)
class Changes:
    """The differences of two `Contents`: of sources, and of settings, such as "flip was True, is False"."""

    sources: Mapping[str, SourceChanges] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sources or self.settings)

    @property
    def added(self) -> tuple[str, ...]:
        """The names of added samples in all sources."""
        return tuple(name for each in self.sources.values() for name in each.added)

    def words(self) -> str:
        """Return the changes in one line."""
        parts = [f"{source} source: {each.words()}" for source, each in self.sources.items()]
        return "; ".join((*parts, *self.settings))


def compare(before: Contents, after: Contents) -> Changes:
    """Return the changes from `before` to `after`.

    Changed splits are reported only if no sample changed, since splits depend on the samples.
    """
    sources: dict[str, SourceChanges] = {}
    for source in dict.fromkeys((*before.samples, *after.samples)):
        old, new = before.samples.get(source, {}), after.samples.get(source, {})
        found = SourceChanges(
            tuple(name for name in new if name not in old),
            tuple(name for name in old if name not in new),
            tuple(name for name in new if name in old and old[name] != new[name]),
        )
        if found:
            sources[source] = found
    return Changes(sources, tuple(_differences(before.settings, after.settings, ("splits",) if sources else ())))


def only_test(task: Task, changes: Changes) -> bool:
    """Whether `changes` affect nothing but the test split of `task` in its current state."""
    if changes.settings:
        return False
    for source, found in changes.sources.items():
        here = [split for split in task.splits if split.source == source]
        alone = [split.name for split in here] == ["test"]
        if not here or (not alone and (found.added or found.removed)):
            return False
        names = np.array(here[0].samples.names)
        rows = np.flatnonzero(np.isin(names, found.changed))
        if not alone and not _within(rows, task.test.rows):
            return False
    return True


def _settings(task: Task) -> dict[str, Any]:
    """Return the settings of a task besides classes and splits; those of images are as in version 0.1."""
    if task.inputs.kind != "images":
        return {"input": str(task.inputs)}
    size = task.input_size
    shown = list(size) if isinstance(size, tuple) else size
    return {"input_size": shown, "flip": task.flip, "fit": task.fit, "white": task.white}


def _within(rows: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    return bool(np.isin(rows, others).all())


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], left_out: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new and name not in left_out:
            yield f"the {name} differ" if name in ("splits", "classes") else f"{name} was {old}, is {new}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
