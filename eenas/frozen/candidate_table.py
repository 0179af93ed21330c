"""The candidate table: the logits of all candidate branches on one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import exit_names
from eenas.errors import TrainingError, plural
from eenas.policies.class_weights import balanced_weights
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateTable:
    """The logits and MACs of O candidate branches on a frozen backbone, from which placement is learned.

    On a frozen backbone branches do not influence each other, so the table gives the exit table of any choice of them.
    The candidates are in depth order. `names` [O] are their cut points. A name that is repeated in a row offers several
    structures at one cut point, of which a choice takes at most one. `logits` float32 [N, O + 1, C], the backbone's own
    classifier last; `labels` int64 [N]; `backbone_macs` float64 [O + 1], the MACs of the backbone up to each
    candidate's cut point, then of the whole backbone; `branch_macs` float64 [O], the MACs of each branch and its
    decision. `balanced` weighs all classes alike (see `ExitTable`).

    Raises TrainingError if shapes or order are inconsistent.
    """

    names: tuple[str, ...]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    backbone_macs: NDArray[np.float64]
    branch_macs: NDArray[np.float64]
    balanced: bool = False

    def __post_init__(self) -> None:
        """Convert to the types above and check shapes and order."""
        object.__setattr__(self, "names", tuple(self.names))
        for name, kind in (("logits", np.float32), ("backbone_macs", np.float64), ("branch_macs", np.float64)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=kind))
        object.__setattr__(self, "labels", np.ascontiguousarray(self.labels, dtype=np.int64))
        count = len(self.names)
        if self.logits.ndim != 3 or self.logits.shape[:2] != (len(self.labels), count + 1):
            raise TrainingError(
                f"logits of {count} candidates must be [{plural(len(self.labels), 'sample')}, {count + 1} exits, "
                "classes], got "
                f"shape {self.logits.shape}"
            )
        if self.backbone_macs.shape != (count + 1,) or self.branch_macs.shape != (count,):
            raise TrainingError(
                f"{count} candidates need {count + 1} backbone_macs and {count} branch_macs, got "
                f"{self.backbone_macs.shape} and {self.branch_macs.shape}"
            )
        places = list(dict.fromkeys(self.names))
        if len(places) != len([name for name, _ in groupby(self.names)]):
            raise TrainingError(f"the candidates of a cut point must be adjacent, got {list(self.names)}")
        firsts = [self.names.index(name) for name in places]
        if (np.diff(self.backbone_macs[[*firsts, count]]) < 0).any():  # a pooling between two cut points has no MACs
            raise TrainingError(f"candidates must be in depth order, got backbone_macs {self.backbone_macs.tolist()}")

    def __len__(self) -> int:
        """Return the number of samples N."""
        return len(self.labels)

    @property
    def total_macs(self) -> float:
        """The MACs of the backbone without any branch."""
        return float(self.backbone_macs[-1])

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The indices of the candidates of each cut point, in depth order."""
        return tuple(
            tuple(index for index, _ in members) for _, members in groupby(enumerate(self.names), key=lambda at: at[1])
        )

    @cached_property
    def temperatures(self) -> NDArray[np.float64]:
        """The temperature [O + 1] of every exit, fitted on this table."""
        everything = ExitTable(
            logits=self.logits,
            labels=self.labels,
            exits=tuple(str(index) for index in range(len(self.names) + 1)),
            costs=Costs.of(macs=np.arange(1.0, len(self.names) + 2)),
        )
        return fit_temperatures(everything)

    def confidences(self, temperatures: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the highest temperature-scaled probability [N, O] of each candidate.

        `temperatures` [O + 1] default to `self.temperatures`.
        """
        used = self.temperatures if temperatures is None else temperatures
        return np.asarray(branch_scores(self.logits, used, "max_softmax"), dtype=np.float64)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the prediction of each exit is correct, [N, O + 1]."""
        return np.asarray(self.logits.argmax(axis=2) == self.labels[:, None])

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """The weight of each sample [N] in the accuracy (see `ExitTable`). None weighs all samples alike."""
        return balanced_weights(self.labels) if self.balanced else None

    def exit_table(self, chosen: Sequence[int]) -> ExitTable:
        """Return the exit table of the network with only the branches `chosen` (indices, rising)."""
        kept = [*chosen, len(self.names)]
        heads = np.append(np.cumsum(self.branch_macs[list(chosen)]), self.branch_macs[list(chosen)].sum())
        return ExitTable(
            logits=self.logits[:, kept],
            labels=self.labels,
            exits=exit_names([self.names[index] for index in chosen]),
            costs=Costs.of(macs=self.backbone_macs[kept] + heads),
            balanced=self.balanced,
        )
