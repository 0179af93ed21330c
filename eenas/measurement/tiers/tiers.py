"""Tiers: the machines that share a network, from the device to the cloud, and the links between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from eenas import bounds, specs
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.measurement.tiers.link import Link
from eenas.names import check_name

MOST_TIERS = 8
"""The largest number of tiers."""
MOST_FACTOR = 1e6
"""The largest factor on the times of this machine."""
_SOURCES = ("factor", "profile", "file")


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A class of machines by name, whose times are those of this machine times `factor`, or measured there.

    Branches of a tier with a `file` take their time here in proportion to the whole backbone. Raises SpecError for
    values out of range, and for more than one source of times.
    """

    name: str
    """The name, as in `[tiers.NAME]`."""
    factor: float = 1.0
    """Time relative to this machine."""
    profile: str = ""
    """A file that `eenas profile` wrote on the tier."""
    file: str = ""
    """A .csv or .toml with the milliseconds to each cut point and to "final" (columns `cut_point` and `value`)."""
    watts: float = 0.0
    """Power in watts while computing, above idling."""

    def __post_init__(self) -> None:
        """Check name and numbers."""
        check_name(self.name, "a tier")
        if not 0 < self.factor <= MOST_FACTOR:
            raise SpecError(
                f"the factor of tier {self.name!r} must be above 0 and at most {MOST_FACTOR:,.0f}, got "
                f"{shortened(self.factor)}; 10 is ten times as slow as this machine"
            )
        if not 0 <= self.watts < math.inf:
            raise SpecError(f"the watts of tier {self.name!r} must be from 0 up, got {shortened(self.watts)}")
        given = [name for name in _SOURCES if getattr(self, name) != _defaults()[name]]
        if len(given) > 1:
            raise SpecError(f"tier {self.name!r} has {' and '.join(given)}; give one source of its times")
        if self.file and not self.file.endswith((".csv", ".toml")):
            raise SpecError(f"file: the times of a tier are a .csv or .toml file, got {shortened(self.file)}")

    @property
    def source(self) -> str:
        """The origin of its times in a few words."""
        return self.profile or self.file or f"{self.factor:g} x this machine"


@dataclass(frozen=True, kw_only=True)
class Tiers:
    """Two or more tiers from the device to the cloud, and the links [tiers - 1] from each one to the next.

    Raises SpecError for fewer tiers, equal names, and another number of links.
    """

    tiers: tuple[Tier, ...]
    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        """Check that the counts fit."""
        names = [each.name for each in self.tiers]
        if not 2 <= len(names) <= MOST_TIERS:
            raise SpecError(
                f"there must be from 2 to {MOST_TIERS} tiers, got {len(names)} ({shortened(names)}); name them from "
                "the device to the cloud, as in [tiers.edge] and [tiers.cloud]"
            )
        if len(set(names)) != len(names):
            raise SpecError(f"tiers must have different names, got {shortened(names)}")
        if len(self.links) != len(names) - 1:
            raise SpecError(f"{len(names)} tiers need {len(names) - 1} links, got {len(self.links)}")

    @classmethod
    def of(cls, link: Link, *, edge: Tier | None = None, cloud: Tier | None = None) -> Self:
        """Return two tiers, "edge" and "cloud", by default this machine twice."""
        return cls(tiers=(edge or Tier(name="edge"), cloud or Tier(name="cloud")), links=(link,))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the `[tiers]` of a TOML file, whose other tables are those of a study and are ignored.

        Raises SpecError for a file without them.
        """
        table = specs.read_table(path)
        if "tiers" not in table:
            raise SpecError(f"{path}: has no [tiers]; add [tiers.edge], [tiers.edge.link] and [tiers.cloud]")
        return cls.from_table(table["tiers"], file=str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tiers in order."""
        return tuple(each.name for each in self.tiers)

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, file: str = "", key: str = "tiers"
    ) -> Self:
        """Read `[tiers.NAME]` tables in their order, or the list of tables with names that `to_table` writes.

        Every tier but the last has a table `link`. Raises SpecError for unknown keys, a missing link, and a link of
        the last tier.
        """
        named = _named(table, file, key)
        tiers, links = [], []
        own = {each.name for each in fields(Tier)} - {"name"}
        for number, (name, values) in enumerate(named):
            inner = f"{key}.{name}" if key else name
            where = bounds.located(file, inner)
            bounds.check_keys(values, [*own, "link"], file=file, key=inner)
            link = values.get("link")
            tier = {field: value for field, value in values.items() if field != "link"}
            tiers.append(specs.read_fields(Tier, {"name": name, **tier}, file=file, key=inner))
            last = number == len(named) - 1
            if last and link is not None:
                raise SpecError(
                    f"{where}: the last tier has no tier behind it; remove its link, or name a further tier"
                )
            if link is None and not last:
                raise SpecError(
                    f'{where}: has no link to {named[number + 1][0]!r}; add [{inner}.link] with preset = "4g" or '
                    "mbit and round_trip_ms"
                )
            if link is not None:
                links.append(specs.from_table(Link, link, file=file, key=f"{inner}.link"))
        try:
            return cls(tiers=tuple(tiers), links=tuple(links))
        except SpecError as error:
            raise SpecError(f"{bounds.located(file, key) or 'tiers'}: {error}") from None

    def to_table(self) -> list[dict[str, Any]]:
        """Return a list of tables with names, whose order no digest and no file loses; `from_table` is the inverse."""
        defaults = _defaults()
        rows: list[dict[str, Any]] = []
        for number, tier in enumerate(self.tiers):
            values = {each.name: getattr(tier, each.name) for each in fields(tier)}
            row = {name: value for name, value in values.items() if name == "name" or value != defaults[name]}
            if number < len(self.links):
                row["link"] = self.links[number].to_table()
            rows.append(row)
        return rows


def _named(table: Any, file: str, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return names and tables from either form."""
    where = bounds.located(file, key) or "tiers"
    if isinstance(table, Mapping):
        return list(table.items())
    if not isinstance(table, list | tuple):
        raise SpecError(f"{where}: must be tables such as [tiers.edge] and [tiers.cloud], got {shortened(table)}")
    found: list[tuple[str, Mapping[str, Any]]] = []
    for row in table:
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            raise SpecError(f"{where}: each tier of a list needs a name, got {shortened(row)}")
        found.append((row["name"], {name: value for name, value in row.items() if name != "name"}))
    return found


def _defaults() -> dict[str, Any]:
    return {each.name: each.default for each in fields(Tier)}
