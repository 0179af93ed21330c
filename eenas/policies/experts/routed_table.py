"""The exit table of a network with experts: each sample has the logits of the expert that was chosen for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable

CHOSEN, EXPERT_NAMES = "chosen", "expert_names"
"""The arrays of a file that tables of experts have beside those of others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RoutedTable(ExitTable):
    """An exit table with the expert `chosen` [N] for each sample, a number from 0 in the list of their `names`.

    The logits are those of the chosen expert, so that every figure contains the mistakes of the choice. Raises
    PolicyError for numbers that do not match the samples or the names.
    """

    chosen: NDArray[np.int64]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the table and the numbers of experts."""
        super().__post_init__()
        given = np.asarray(self.chosen)
        if given.shape != (len(self),) or given.dtype.kind not in "iu" or given.min() < 0:
            raise PolicyError(
                f"experts must be {len(self)} numbers from 0 up, got shape {given.shape} of {given.dtype}"
            )
        if self.names and given.max() >= len(self.names):
            raise PolicyError(f"experts must be numbers below {len(self.names)}, got {given.max()}")
        object.__setattr__(self, "chosen", np.ascontiguousarray(given, dtype=np.int64))

    @classmethod
    def joined(cls, tables: "Sequence[RoutedTable]") -> "RoutedTable":
        """Return the samples of several tables of one network in one. Contexts are kept if all tables have them."""
        contexts = [each.contexts for each in tables if each.contexts is not None]
        return replace(
            tables[0],
            logits=np.concatenate([each.logits for each in tables]),
            labels=np.concatenate([each.labels for each in tables]),
            contexts=np.concatenate(contexts) if len(contexts) == len(tables) else None,
            chosen=np.concatenate([each.chosen for each in tables]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the table's file by name."""
        return {**super().arrays(), CHOSEN: self.chosen, EXPERT_NAMES: np.array(self.names)}

    def take(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> "RoutedTable":
        """Return the table of some samples, selected by indices or a mask [N]."""
        contexts = None if self.contexts is None else self.contexts[indices]
        return replace(
            self,
            logits=self.logits[indices],
            labels=self.labels[indices],
            contexts=contexts,
            chosen=self.chosen[indices],
        )

    def of_expert(self, number: int) -> ExitTable | None:
        """Return the plain exit table of the samples that an expert answers, or None if there are none."""
        mask = self.chosen == number
        if not mask.any():
            return None
        return ExitTable(
            logits=self.logits[mask],
            labels=self.labels[mask],
            exits=self.exits,
            costs=self.costs,
            balanced=self.balanced,
            contexts=None if self.contexts is None else self.contexts[mask],
        )
