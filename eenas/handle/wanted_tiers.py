"""The best split of a network between a device and a server, for Python and the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from eenas.errors import MeasurementError
from eenas.handle.tiered_source import TieredSource
from eenas.measurement.tiers.tier_text import tiers_from_texts
from eenas.measurement.tiers.tiers import Tiers
from eenas.records.stores.places import ArtifactPlace
from eenas.reporting.facts.tiers.tier_facts import TierFacts, read_sources, tier_facts
from eenas.specs import check_options
from eenas.tier_names import TIER_LATENCY


@dataclass(frozen=True, kw_only=True)
class WantedTiers:
    """The machines that share a network, and their link.

    `link`, `edge` and `cloud` are texts as on the command line ("4g,codec=int8", "10", "board.json"); each replaces its
    part of the study's tiers. `file` is a TOML file with `[tiers]`, instead of all of them.

    Raises MeasurementError if both are given.
    """

    link: str | None = None
    edge: str | None = None
    cloud: str | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        """Raise MeasurementError for a file beside a text."""
        texts = {"link": self.link, "edge": self.edge, "cloud": self.cloud}
        given = [name for name, text in texts.items() if text is not None]
        if self.file is not None and given:
            raise MeasurementError(f"file and {' and '.join(given)} exclude each other, got both; leave one out")


class TieredOptions(TypedDict, total=False):
    """Further options of `best_splits`: the fields of `TieredSource`."""

    storage: str
    artifacts: ArtifactPlace | None
    network: str | None
    input_bytes: int | None
    trust_code: bool


def best_splits(
    source: str | Path, wanted: WantedTiers | None = None, *, cost: str = TIER_LATENCY, **options: Unpack[TieredOptions]
) -> TierFacts:
    """Return the best split of a network between machines, and how it moves with the bandwidth, as `eenas tiers`.

    `source` is the name of a study (with its `storage`), or the folder of a run or an exported model. The best split
    has the lowest expected `cost`: "tier_latency" (ms), "bytes_sent", "tier_energy" or "price". `draw_bandwidth` of
    `eenas.reporting` draws the result.

    Raises EenasError for a source or machines that do not fit.
    """
    check_options("best_splits", options, TieredOptions)
    subject, given = TieredSource(**options).read(source), wanted or WantedTiers()
    if given.file is not None:
        tiers = Tiers.read(given.file)
        return tier_facts(subject, tiers, read_sources(tiers, given.file.parent), cost=cost)
    tiers = tiers_from_texts(given.link, given.edge, given.cloud, subject.tiers)
    return tier_facts(subject, tiers, read_sources(tiers, subject.folder), cost=cost)
