"""A cost by a measured table: a value for each cut point and for the whole backbone."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from eenas import bounds, specs
from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError, SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.costs.cost import Cost
from eenas.measurement.profile import BranchCost, Profile

FINAL = "final"
"""The row of the whole backbone."""


@dataclass(frozen=True, kw_only=True)
class TableCost(Cost):
    """A measured cost, in `unit`: a value for each cut point by name, and one for the whole backbone by "final".

    Rows of other cut points are ignored. Raises SpecError for both or neither of `values` and `file`, and for values
    that are not numbers from 0 up.
    """

    unit: str = ""
    """Unit of the cost, in at most 20 characters."""
    file: str = ""
    """The table as a path relative to the study file: a .csv with a header and the columns `cut_point` and `value`, or
    a .toml whose keys are the cut points."""
    values: Mapping[str, float] = field(default_factory=dict)
    """The table itself: a value for each cut point by name, and one for the whole backbone by "final"."""
    branches: Literal["macs", "latency", "nothing"] = "macs"
    """Cost of a branch: the backbone's cost per MAC ("macs") or per millisecond ("latency") times that of the branch,
    or "nothing"."""
    provenance: str = "a measured table"
    """Origin of the values, in one line."""

    def __post_init__(self) -> None:
        """Check that there is one table with valid values."""
        if bool(self.file) == bool(self.values):
            raise SpecError("a cost by a table has either a file or values; give one of them")
        if self.file and not self.file.endswith((".csv", ".toml")):
            raise SpecError(f"file: a table is a .csv or .toml file, got {shortened(self.file)}")
        _check(self.values)
        if self.values and FINAL not in self.values:
            raise SpecError(
                f"the table needs a row {FINAL!r} for the whole backbone, got {len(self.values)} without it"
            )

    def located(self, folder: Path | None) -> "TableCost":
        """Return the cost with the values of its file. Raises SpecError if the file holds no valid table."""
        if not self.file:
            return self
        path = (folder or Path()) / self.file
        values = csv_values(path) if path.suffix == ".csv" else specs.read_table(path)
        try:
            return replace(self, file="", values=values, provenance=f"{self.provenance} ({path.name})")
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from None

    def prefixes(self, profile: Profile) -> Sequence[float]:
        """Return the rows of the profile's cut points. Raises MeasurementError if one is missing."""
        names = [*(point.name for point in profile.cut_points), FINAL]
        if missing := [name for name in names if name not in self.values]:
            raise MeasurementError(
                f"a measured table has no row for the cut point {missing[0]!r}; {nearest(missing[0], self.values)}"
            )
        return [self.values[name] for name in names]

    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """Return the branch's MACs or milliseconds times the backbone's cost per unit of these."""
        if self.branches == "nothing":
            return 0.0
        if self.branches == "macs":
            return self.values[FINAL] * branch.macs / profile.total_macs
        if profile.total_latency is None or branch.latency is None:
            raise MeasurementError('branches = "latency" needs measured latencies, and there are none; take "macs"')
        return self.values[FINAL] * branch.latency.median_ms / profile.total_latency.median_ms


def csv_values(path: Path) -> dict[str, float]:
    """Return the values of a .csv file by cut point. Raises SpecError."""
    try:
        text = bounds.read_file(path, bounds.MOST_TOML).decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; give the path of a table relative to the study file") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read ({error}); give a .csv file in UTF-8") from None
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise SpecError(f"{path}: not a .csv file ({error}); separate columns by commas") from None
    if not rows or not {"cut_point", "value"} <= rows[0].keys():
        heads = list(rows[0]) if rows else []
        raise SpecError(f"{path}: needs a header with the columns cut_point and value, got {shortened(heads)}")
    table: dict[str, Any] = {}
    for row in rows:
        name, value = row["cut_point"] or "", row["value"]
        if name in table:
            raise SpecError(f"{path}: the cut point {shortened(name)} occurs twice; keep one row of it")
        try:
            table[name] = float(value)
        except (TypeError, ValueError):
            raise SpecError(
                f"{path}: the value at {shortened(name)} must be a number, got {shortened(value)}"
            ) from None
    return table


def _check(table: Mapping[str, Any]) -> None:
    """Raise SpecError unless every value is a finite number from 0 up."""
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise SpecError(f"the value at {shortened(name)} must be a number from 0 up, got {shortened(value)}")
