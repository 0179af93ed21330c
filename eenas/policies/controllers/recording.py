"""A recording: the confidences of every exit on samples, on which controllers are replayed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural
from eenas.escaping import shortened
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.scores import score
from eenas.policies.temperatures import fit_temperatures


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The temperature-scaled largest probabilities of N samples at K exits.

    `confidences` is float64 [N, K] in [0, 1], the final exit last; `exits` are the K names. `correct` [N, K] says
    whether each exit is correct, or is None if labels are unknown. `costs` [K] are those of leaving at each exit, in
    any unit, or empty; `thresholds` [K - 1] those of the model, or None. `contexts` [N] name the circumstances of each
    sample, or are None. Confidences that are not finite count as 0; `replaced` is their number. Raises PolicyError for
    no sample, one exit, other shapes, and numbers out of range.
    """

    name: str
    confidences: NDArray[np.float64]
    exits: tuple[str, ...]
    correct: NDArray[np.bool_] | None = None
    costs: tuple[float, ...] = ()
    thresholds: Thresholds | None = None
    contexts: NDArray[np.str_] | None = None
    replaced: int = 0

    def __post_init__(self) -> None:
        """Convert, replace what is not finite, and check the values."""
        given = np.array(self.confidences, dtype=np.float64)
        if given.ndim != 2 or len(given) == 0 or given.shape[1] != len(self.exits):
            raise PolicyError(
                f"a recording needs confidences [samples, {plural(len(self.exits), 'exit')}] of at least one "
                "sample, got the "
                f"shape {list(given.shape)}"
            )
        finite = np.isfinite(given)
        object.__setattr__(self, "replaced", self.replaced + int((~finite).sum()))
        given[~finite] = 0.0
        if given.min() < 0 or given.max() > 1 + 1e-6:
            bad = given[(given < 0) | (given > 1 + 1e-6)][0]
            raise PolicyError(f"confidences must be in [0, 1], got {bad:g}; record probabilities, not logits")
        object.__setattr__(self, "confidences", np.minimum(given, 1.0))
        if self.correct is not None and self.correct.shape != given.shape:
            raise PolicyError(f"'correct' must have the shape of the confidences, got {list(self.correct.shape)}")
        if self.contexts is not None and self.contexts.shape != (len(given),):
            raise PolicyError(f"a recording of {len(given)} samples needs as many contexts, got {len(self.contexts)}")
        self.controlled()

    @classmethod
    def of(
        cls,
        table: ExitTable,
        temperatures: Sequence[float] | None = None,
        *,
        name: str = "exit table",
        thresholds: Thresholds | None = None,
    ) -> "Recording":
        """Return the recording of an exit table. The default `temperatures` [K] are fitted on the table itself."""
        found = fit_temperatures(table) if temperatures is None else np.asarray(temperatures, dtype=np.float64)
        if len(found) != table.num_exits:
            raise PolicyError(f"{table.num_exits} exits need as many temperatures, got {len(found)}")
        return cls(
            name=name,
            confidences=np.stack([score(table.logits[:, k], float(found[k])) for k in range(table.num_exits)], axis=1),
            exits=table.exits,
            correct=table.correct(),
            costs=tuple(table.costs[MACS].tolist()),
            thresholds=thresholds,
            contexts=table.contexts,
        )

    def __len__(self) -> int:
        """The number of samples N."""
        return len(self.confidences)

    def controlled(self) -> ControlledExits:
        """Return the exits for a controller. The confidences are scaled already, so temperatures are 1."""
        return ControlledExits(temperatures=(1.0,) * len(self.exits), costs=self.costs, thresholds=self.thresholds)

    def scaled(self, factor: float) -> "Recording":
        """Return the recording with every confidence multiplied by a factor in [0, 1]."""
        return replace(self, confidences=self.confidences * factor)

    def of_context(self, context: str) -> "Recording":
        """Return the samples of one context. Raises PolicyError if there are none."""
        mask = np.zeros(len(self), dtype=np.bool_) if self.contexts is None else self.contexts == context
        if not mask.any():
            raise PolicyError(f"{self.name}: has no samples of the context {shortened(context)}")
        return replace(
            self,
            confidences=self.confidences[mask],
            correct=None if self.correct is None else self.correct[mask],
            contexts=None if self.contexts is None else self.contexts[mask],
        )
