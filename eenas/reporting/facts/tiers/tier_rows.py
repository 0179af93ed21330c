"""The facts of a network over tiers as sentences, rows of tables and plain data for JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from eenas.errors import plural
from eenas.measurement.tiers.tier_costs import UNITS
from eenas.percent import percent
from eenas.policies.split_costs import split_words
from eenas.reporting.facts.tiers.tier_facts import BandwidthRange, ExpectedSplit, TierFacts
from eenas.reporting.facts.wording import place
from eenas.tier_names import TIER_LATENCY, TierSplit


@dataclass(frozen=True, kw_only=True)
class SplitTexts:
    """A split as texts: its name, the ms of each part and in total, bytes, the share sent, and further costs."""

    name: str
    parts: tuple[str, ...]
    latency: str
    bytes: str
    sending: str
    energy: str
    price: str
    is_best: bool


def split_text(facts: TierFacts, split: TierSplit) -> str:
    """Return a split in words, with the names of these tiers: "after layer2.1", "edge only"."""
    names, places = facts.tiers.names, (split,) if isinstance(split, str) else split
    return split_words(tuple(map(place, places)), names[0], names[-1])


def split_rows(facts: TierFacts) -> list[SplitTexts]:
    """Return the splits in the order of depth, the best one marked."""
    return [_row(facts, each) for each in facts.splits]


def part_names(facts: TierFacts) -> tuple[str, ...]:
    """Return the names of the parts of the latency in order."""
    return tuple(name for name, _ in facts.best.parts_ms)


def tier_summary(facts: TierFacts) -> list[str]:
    """Return sentences on the tiers, the best split against both ends, and what limits the statement."""
    subject, best = facts.subject, facts.best
    tiers = ", ".join(f"{each.name}: {each.source}" for each in facts.tiers.tiers)
    links = "; ".join(f"{each.label}{_codec(each.codec, each.compression)}" for each in facts.tiers.links)
    lines = [
        f"{subject.name}: {plural(len(subject.exits), 'exit')}, {plural(len(subject.cut_points), 'cut point')}; times "
        f"of {subject.place}.",
        f"Tiers: {tiers}; link: {links}.",
        f"Best split: {split_text(facts, best.split)}, {_ms(best.latency_ms)} "
        f"({', '.join(f'{name} {_ms(time)}' for name, time in best.parts_ms)}); {facts.tiers.names[0]} only takes "
        f"{_ms(facts.edge_only.latency_ms)}, {facts.tiers.names[-1]} only {_ms(facts.cloud_only.latency_ms)}.",
        f"{percent(best.sending)} of the samples cross the first link; {best.bytes_sent:,.0f} bytes are sent for a "
        "sample on average.",
    ]
    if facts.cost != TIER_LATENCY:
        lines.append(f"The best split is the one with the lowest {facts.cost}.")
    if subject.only_exits:
        lines.append("An exported model can be split at its exits only; its branches count with the segments before.")
    elif facts.without_branches is not None:
        other = facts.without_branches
        lines.append(
            f"If only {facts.tiers.names[0]} runs branches, {split_text(facts, other.split)} takes "
            f"{_ms(other.latency_ms)}; samples that cross the link then leave at the last exit."
        )
    return lines


def range_rows(facts: TierFacts) -> list[tuple[str, str]]:
    """Return the ranges of bandwidths and the best split in each."""
    return [(_range(each), split_text(facts, each.split)) for each in facts.ranges]


def rate_rows(facts: TierFacts) -> list[tuple[str, str, str, str]]:
    """Return the factors on exit rates, the share that leaves early, the best split and its ms; none for one exit."""
    if len(facts.subject.exits) == 1:  # nobody leaves early
        return []
    return [
        (f"{each.factor:g} ×", percent(each.early), split_text(facts, each.split), _ms(each.latency_ms))
        for each in facts.rates
    ]


def tier_table(facts: TierFacts) -> dict[str, Any]:
    """Return everything as plain data for JSON. `table` maps bandwidths to splits in the form of a split table."""
    subject = facts.subject
    rows = [{"split": each.split, "min_mbit": each.low} for each in reversed(facts.ranges)]
    return {
        "network": subject.name,
        "exits": list(subject.exits),
        "shares": list(subject.shares),
        "cut_points": list(subject.cut_points),
        "only_exits": subject.only_exits,
        "input_bytes": subject.input_bytes,
        "tiers": facts.tiers.to_table(),
        "cost": facts.cost,
        "units": UNITS,
        "best": _split(facts.best),
        "edge_only": _split(facts.edge_only),
        "cloud_only": _split(facts.cloud_only),
        "without_branches_behind": None if facts.without_branches is None else _split(facts.without_branches),
        "splits": [_split(each) for each in facts.splits],
        "bandwidths": [asdict(each) for each in facts.ranges],
        "exit_rates": [asdict(each) for each in facts.rates],
        "table": {"rows": rows},
    }


def _split(each: ExpectedSplit) -> dict[str, Any]:
    return {**asdict(each), "parts_ms": dict(each.parts_ms)}


def _row(facts: TierFacts, each: ExpectedSplit) -> SplitTexts:
    return SplitTexts(
        name=split_text(facts, each.split),
        parts=tuple(_number(time) for _, time in each.parts_ms),
        latency=_number(each.latency_ms),
        bytes=f"{each.bytes_sent:,.0f}",
        sending=percent(each.sending, 0),
        energy="" if each.energy is None else f"{each.energy:.3g}",
        price="" if each.price is None else f"{each.price:.3g}",
        is_best=each.split == facts.best.split,
    )


def _codec(codec: str, compression: str) -> str:
    words = [each for each, plain in ((codec, "float32"), (compression, "none")) if each != plain]
    return f", {' and '.join(words)}" if words else ""


def _range(each: BandwidthRange) -> str:
    if each.high is None:
        return "any" if each.low == 0 else f"from {each.low:.3g}"
    return f"below {each.high:.3g}" if each.low == 0 else f"{each.low:.3g} to {each.high:.3g}"


def _number(time: float) -> str:
    return f"{time:.3g}" if time < 1000 else f"{time:,.0f}"


def _ms(time: float) -> str:
    return f"{_number(time)} ms"
