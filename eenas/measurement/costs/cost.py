"""The contract of a cost: what reaching a cut point costs, and what a branch adds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from eenas.backbones.features import FeatureShape
from eenas.measurement.profile import BranchCost, Profile


class Cost(ABC):
    """A cost beside MACs and latency: a frozen value, `@dataclass(frozen=True, kw_only=True)`.

    A study file names it as `[costs.NAME]` with `kind = "./my_cost.py:Class"` or `"package.module:Class"`, and its
    fields beside that; they are part of the study's identity.

    Order of calls: `located` once, then `prefixes` once, which says what the backbone costs, and `branch` for each
    branch that a design may have. eenas adds up what it costs to leave at exit k: `c_k = b_k + a_1 + ... + a_k`, b_k
    the prefix up to its cut point and a_j the branches on the way. All values are finite and not negative, less is
    better, and the same question has the same answer. Prefixes need not rise: what a feature takes to send may fall.
    Raise MeasurementError where something cannot be known.
    """

    kind = ""
    """The name by which study files know the class; set when it is loaded."""
    unit: str = ""
    """The unit of all values, plain text of at most 20 characters such as "mJ"."""
    provenance: str = ""
    """Where the values come from, in a line."""

    def located(self, folder: Path | None) -> Self:
        """The same cost with what it needs of files, whose paths are relative to `folder`, the study file's."""
        return self

    @abstractmethod
    def prefixes(self, profile: Profile) -> Sequence[float]:
        """What reaching each cut point of the profile costs, in order, and at last the whole backbone, [P + 1]."""

    @abstractmethod
    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """What a branch of these MACs, parameters and latency costs at a feature of this shape on that backbone."""
