"""The exit table: the logits of every exit on one split, with the labels and the costs of each exit."""

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.class_weights import balanced_weights, weighted_accuracy
from eenas.policies.costs import KNOWN, MACS, Costs, key_of

KEYS = ("logits", "labels", "exits", MACS)
CONTEXTS = "contexts"
OTHERS, FACTS = "costs", "cost_facts"
"""The arrays of a file for costs outside KNOWN: their values [costs, K], and their descriptions as JSON."""
SPLITS, SPLIT_FACTS = "split_costs", "splits"
"""The arrays of a file for costs that depend on the split: their values [S, T, K], and the rest as JSON."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExitTable:
    """The data that policies are fitted and evaluated on, without running the network.

    `logits` is float32 [N, K, C] with the exits in depth order, the final exit last; `labels` int64 [N] in 0..C-1.
    `exits` holds the K names: cut points, then "final". `costs` [K] are the costs of a sample that leaves at each exit,
    including every branch before it. The MACs come first and are strictly increasing. Other costs need not increase:
    measurements are noisy, and a feature may be smaller than an earlier one. If `balanced`, every accuracy is the mean
    over classes; costs remain means over samples. `contexts` [N] names the circumstances of each sample, such as
    "clean" or "gaussian_blur:3", or is None if nothing is known of them. Lists and other dtypes are converted.

    Raises PolicyError for an empty table, logits that are not finite, labels out of range, and costs or contexts that
    do not match.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    exits: tuple[str, ...]
    costs: Costs
    balanced: bool = False
    contexts: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        """Convert to the documented dtypes and check that the values fit together."""
        logits = np.asarray(self.logits)
        if logits.ndim != 3 or logits.dtype.kind not in "fiu":
            got = f"{logits.dtype} of shape {logits.shape}"
            raise PolicyError(f"the logits of an exit table must be numbers [samples, exits, classes], got {got}")
        samples, exits, classes = logits.shape
        if samples == 0:
            raise PolicyError("an exit table needs at least one sample, got none; give the split more samples")
        if exits == 0 or classes < 2:
            raise PolicyError(f"an exit table needs at least one exit and two classes, got {exits} and {classes}")
        with np.errstate(over="ignore", invalid="ignore"):
            logits = np.ascontiguousarray(logits, dtype=np.float32)
        if not np.isfinite(logits).all():
            bad = sorted(set(np.nonzero(~np.isfinite(logits))[1].tolist()))
            raise PolicyError(f"logits must be finite, got NaN or infinity at exit {bad[0]}; lower the learning rate")
        object.__setattr__(self, "logits", logits)
        object.__setattr__(self, "labels", _labels(self.labels, samples, classes))
        object.__setattr__(self, "contexts", _contexts(self.contexts, samples))
        names = tuple(self.exits)
        if len(names) != exits or len(set(names)) != exits:
            raise PolicyError(f"an exit table of {exits} exits needs {exits} different names, got {shortened(names)}")
        object.__setattr__(self, "exits", names)
        if self.costs.names[:1] != (MACS,):
            raise PolicyError(f"the first cost of the exits must be {MACS}, got {shortened(list(self.costs.names))}")
        if self.costs.values.shape[1] != exits:
            raise PolicyError(
                f"{MACS} must be finite numbers, one for each of {exits} exits, got {self.costs.values.shape[1]}"
            )
        macs = self.costs[MACS]
        if (np.diff(macs) <= 0).any():
            raise PolicyError(
                f"macs of the exits must be strictly increasing, got {shortened(macs.tolist())}; order the exits"
            )

    def __len__(self) -> int:
        """The number of samples N."""
        return int(self.logits.shape[0])

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return int(self.logits.shape[1])

    @property
    def num_classes(self) -> int:
        """The number of classes C."""
        return int(self.logits.shape[2])

    def answers(self) -> NDArray[np.int64]:
        """Return the class with the highest logit at every exit, [N, K]; ties go to the lower class."""
        return np.asarray(self.logits.argmax(axis=2), dtype=np.int64)

    def correct(self) -> NDArray[np.bool_]:
        """Return whether each exit is correct on each sample, [N, K]."""
        return np.asarray(self.answers() == self.labels[:, None])

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """The weight of each sample, [N] with mean 1, or None if all samples count the same."""
        return balanced_weights(self.labels) if self.balanced else None

    def exit_accuracy(self) -> tuple[float, ...]:
        """Return the accuracy in [0, 1] of every exit over all samples."""
        return tuple(float(value) for value in weighted_accuracy(self.correct(), self.weights))

    def take(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> "ExitTable":
        """Return the table of some samples, selected by indices or a mask [N]."""
        contexts = None if self.contexts is None else self.contexts[indices]
        return replace(self, logits=self.logits[indices], labels=self.labels[indices], contexts=contexts)

    def by_context(self) -> dict[str, "ExitTable"]:
        """Return the table of each context by name, in alphabetical order. Empty if no contexts are known."""
        if self.contexts is None:
            return {}
        return {str(name): self.take(self.contexts == name) for name in np.unique(self.contexts)}

    def truncate(self, exits: int) -> "ExitTable":
        """Return the table truncated after `exits` exits (1..K). The last of them becomes the final exit."""
        if not 1 <= exits <= self.num_exits:
            raise PolicyError(f"a table of {self.num_exits} exits cannot be truncated to {exits}; give 1 to all")
        return replace(
            self,
            logits=self.logits[:, :exits],
            exits=self.exits[:exits],
            costs=self.costs.first(exits),
        )

    def save(self, path: str | Path) -> None:
        """Write the table as a compressed .npz file to exactly this path."""
        with Path(path).open("wb") as stream:
            np.savez_compressed(stream, **self.arrays())  # type: ignore[arg-type]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the table's file by name."""
        arrays: dict[str, NDArray[Any]] = {"logits": self.logits, "labels": self.labels, "exits": np.array(self.exits)}
        arrays |= {key_of(name): self.costs[name] for name in KNOWN if name in self.costs}
        others = self.costs.without(*KNOWN)
        if others.names:
            arrays[OTHERS] = others.values
            arrays[FACTS] = np.array(json.dumps([asdict(each) for each in others.facts]))
        if (splits := self.costs.splits) is not None:
            arrays[SPLITS], arrays[SPLIT_FACTS] = splits.values, np.array(json.dumps(splits.facts_table()))
        if self.balanced:
            arrays["balanced"] = np.array(True)
        if self.contexts is not None:
            arrays[CONTEXTS] = self.contexts
        return arrays


def _labels(labels: object, samples: int, classes: int) -> NDArray[np.int64]:
    given = np.asarray(labels)
    if given.shape != (samples,) or given.dtype.kind not in "iu":
        raise PolicyError(f"labels must be {samples} integers, got shape {given.shape} of {given.dtype}")
    if given.min() < 0 or given.max() >= classes:
        raise PolicyError(f"labels must be in 0..{classes - 1}, got {given.min()} to {given.max()}")
    return np.ascontiguousarray(given, dtype=np.int64)


def _contexts(contexts: object, samples: int) -> NDArray[np.str_] | None:
    if contexts is None:
        return None
    given = np.asarray(contexts)
    if given.shape != (samples,) or given.dtype.kind != "U" or not (given != "").all():
        raise PolicyError(f"contexts must be {samples} names, got shape {given.shape} of {given.dtype}")
    return given
