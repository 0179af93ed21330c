"""The contract of a cost: the cost of reaching a cut point, and the cost that a branch adds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from eenas.backbones.features import FeatureShape
from eenas.measurement.profile import BranchCost, Profile


class Cost(ABC):
    """A cost beside MACs and latency: a frozen value, `@dataclass(frozen=True, kw_only=True)`.

    A study file names it as `[costs.NAME]` with `kind = "./my_cost.py:Class"` or `"package.module:Class"` and the
    fields of the class, which are part of the study's identity.

    Order of calls: `located` once, `prefixes` once, then `branch` for each branch of a design. The cost of leaving at
    exit k is the sum `c_k = b_k + a_1 + ... + a_k`: b_k is the prefix up to its cut point, a_j are the branches on the
    way. All values must be finite and not negative, lower is better, a larger branch costs no less, and equal
    arguments must give equal values. Prefixes need not rise, since the cost of sending a feature can fall. Raise
    MeasurementError if a value cannot be determined.
    """

    kind = ""
    """The name of the class in study files, set when it is loaded."""
    unit: str = ""
    """The unit of all values: plain text of at most 20 characters, such as "mJ"."""
    provenance: str = ""
    """The origin of the values, in one line."""

    def located(self, folder: Path | None) -> Self:
        """Return the same cost with the content of its files, whose paths are relative to the study file's `folder`."""
        return self

    @abstractmethod
    def prefixes(self, profile: Profile) -> Sequence[float]:
        """Return the cost of reaching each cut point of the profile, in order, and last the whole backbone, [P + 1]."""

    @abstractmethod
    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """Return the cost of a branch with these MACs, parameters and latency on features of this shape."""
