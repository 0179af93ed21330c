"""The facts of a network over tiers: its best split, the time by part, and how it moves with bandwidth and rates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.measurement.tiers.part_costs import PartCosts, reaching
from eenas.measurement.tiers.tier_costs import TierCosts
from eenas.measurement.tiers.tier_sources import TierSource, read_source
from eenas.measurement.tiers.tiers import Tiers
from eenas.reporting.facts.tiers.tiered_subject import TieredSubject
from eenas.tier_names import BYTES_SENT, PRICE, TIER_ENERGY, TIER_LATENCY, TierSplit

LEAST_MBIT, MOST_MBIT, STEPS = 0.05, 1000.0, 87
"""The bandwidths that are compared, in Mbit/s: twenty for each power of ten."""
RATE_FACTORS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Factors on the share that leaves of those that reach an exit."""
_HALVINGS = 24


@dataclass(frozen=True, kw_only=True)
class ExpectedSplit:
    """One split with its expected costs: milliseconds by part, in order (tier, link, tier, ...), and in total."""

    split: TierSplit
    latency_ms: float
    parts_ms: tuple[tuple[str, float], ...]
    bytes_sent: float
    sending: float
    energy: float | None = None
    price: float | None = None


@dataclass(frozen=True, kw_only=True)
class BandwidthRange:
    """A range of bandwidths in Mbit/s, from 0 or up to any (None), with the best split in it."""

    low: float
    high: float | None
    split: TierSplit


@dataclass(frozen=True, kw_only=True)
class RateFacts:
    """The best split if `factor` times as many leave of those that reach an exit; `early` is the share that does."""

    factor: float
    early: float
    split: TierSplit
    latency_ms: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BandwidthLines:
    """The expected latency in ms at each bandwidth `mbit` [B]: of the best split, edge-only and cloud-only."""

    mbit: NDArray[np.float64]
    best: NDArray[np.float64]
    edge_only: NDArray[np.float64]
    cloud_only: NDArray[np.float64]
    splits: tuple[TierSplit, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TierFacts:
    """A network over `tiers`, for the split with the lowest expected `cost`.

    `splits` are all of two tiers, or the best one and both ends. `without_branches` is the best split if only the first
    tier runs branches, where that costs less: samples that cross the link then all leave at the last exit. Bandwidths
    are those of the first link.
    """

    subject: TieredSubject
    tiers: Tiers
    cost: str
    best: ExpectedSplit
    edge_only: ExpectedSplit
    cloud_only: ExpectedSplit
    splits: tuple[ExpectedSplit, ...]
    without_branches: ExpectedSplit | None
    ranges: tuple[BandwidthRange, ...]
    rates: tuple[RateFacts, ...]
    lines: BandwidthLines

    @property
    def both_ends(self) -> float:
        """The lower expected latency of edge-only and cloud-only, in ms."""
        return min(self.edge_only.latency_ms, self.cloud_only.latency_ms)


def read_sources(tiers: Tiers, folder: Path | None = None) -> tuple[TierSource, ...]:
    """Return the content of the files of tiers, relative to `folder`."""
    return tuple(read_source(tier, folder) for tier in tiers.tiers)


def tier_facts(
    subject: TieredSubject, tiers: Tiers, sources: Sequence[TierSource], *, cost: str = TIER_LATENCY
) -> TierFacts:
    """Return the facts of a network over tiers. Raises MeasurementError for times of another network."""
    given = tuple(sources)
    costs = subject.costs(tiers, given)
    shares, length, links = subject.shares, costs[cost].length, len(tiers.links)
    best = costs.best(shares, cost)
    plain = costs.best(shares, cost, cloud_branches=False)
    ends = (0,) * links, (length,) * links
    every = [tuple(split) for split in costs[cost].splits.tolist()] if links == 1 else [ends[0], best.split, ends[1]]
    at = _over_bandwidths(subject, tiers, given)

    def best_at(mbit: float) -> TierSplit:
        found = at(mbit)
        return found.named(found.best(shares, cost).split)

    mbits = np.geomspace(LEAST_MBIT, MOST_MBIT, STEPS)
    names = [best_at(mbit) for mbit in mbits]
    return TierFacts(
        subject=subject,
        tiers=tiers,
        cost=cost,
        best=expected_split(costs, best.split, shares),
        cloud_only=expected_split(costs, ends[0], shares),
        edge_only=expected_split(costs, ends[1], shares),
        splits=tuple(expected_split(costs, split, shares) for split in every),
        without_branches=expected_split(costs, plain.split, shares, cloud_branches=False)
        if plain.mean < best.mean
        else None,
        ranges=_ranges(mbits, names, best_at),
        rates=tuple(_rate(costs, shares, cost, factor) for factor in RATE_FACTORS),
        lines=_lines(at, mbits, names, shares),
    )


def expected_split(
    costs: TierCosts, split: Sequence[int], shares: Sequence[float], *, cloud_branches: bool = True
) -> ExpectedSplit:
    """Return the expected costs of a split."""
    means = {
        name: float(costs[name].columns([split], cloud_branches=cloud_branches)[0] @ np.asarray(shares))
        for name in costs.names
    }
    after = np.array(costs[TIER_LATENCY].after)
    sending = float(np.asarray(shares)[after > split[0]].sum())
    return ExpectedSplit(
        split=costs.named(split),
        latency_ms=means[TIER_LATENCY],
        parts_ms=_parts(costs, split, shares, cloud_branches=cloud_branches),
        bytes_sent=means[BYTES_SENT],
        sending=sending,
        energy=means.get(TIER_ENERGY),
        price=means.get(PRICE),
    )


def scaled_rates(shares: Sequence[float], factor: float) -> tuple[float, ...]:
    """Return shares [K] if `factor` times as many leave of those that reach each exit, at most all."""
    given = np.asarray(shares, dtype=np.float64)
    reached = reaching(given)
    rates = np.divide(given, reached, out=np.zeros_like(given), where=reached > 0)
    rates = np.minimum(factor * rates, 1.0)
    rates[-1] = 1.0
    left, found = 1.0, []
    for rate in rates:
        found.append(left * rate)
        left -= found[-1]
    return tuple(float(each) for each in found)


def _parts(
    costs: TierCosts, split: Sequence[int], shares: Sequence[float], *, cloud_branches: bool
) -> tuple[tuple[str, float], ...]:
    """Return the expected ms on each tier and each link, in the order of the way."""
    whole = costs[TIER_LATENCY]
    nothing = PartCosts(
        segments=np.zeros_like(whole.segments),
        branches=np.zeros_like(whole.branches),
        hops=np.zeros_like(whole.hops),
        after=whole.after,
    )
    found = []
    for tier, name in enumerate(costs.tiers.names):
        segments, branches = nothing.segments.copy(), nothing.branches.copy()
        segments[tier], branches[tier] = whole.segments[tier], whole.branches[tier]
        alone = [(name, replace(nothing, segments=segments, branches=branches))]
        if tier < len(costs.tiers.links):
            hops = nothing.hops.copy()
            hops[tier] = whole.hops[tier]
            label = "link" if len(costs.tiers.links) == 1 else f"link {tier + 1}"
            alone.append((label, replace(nothing, hops=hops)))
        for label, part in alone:
            found.append((label, float(part.columns([split], cloud_branches=cloud_branches)[0] @ np.asarray(shares))))
    return tuple(found)


def _over_bandwidths(
    subject: TieredSubject, tiers: Tiers, sources: tuple[TierSource, ...]
) -> Callable[[float], TierCosts]:
    """Return the costs as a function of the bandwidth of the first link."""

    def at(mbit: float) -> TierCosts:
        links = (replace(tiers.links[0], mbit=float(mbit)), *tiers.links[1:])
        return subject.costs(replace(tiers, links=links), sources)

    return at


def _ranges(
    mbits: NDArray[np.float64], names: Sequence[TierSplit], best_at: Callable[[float], TierSplit]
) -> tuple[BandwidthRange, ...]:
    """Return the ranges with equal best splits, their borders found by halving."""
    borders: list[float] = []
    kept = [names[0]]
    for index in range(1, len(names)):
        if names[index] != names[index - 1]:
            low, high = float(mbits[index - 1]), float(mbits[index])
            for _ in range(_HALVINGS):
                middle = float(np.sqrt(low * high))
                if best_at(middle) == names[index - 1]:
                    low = middle
                else:
                    high = middle
            borders.append(high)
            kept.append(names[index])
    lows, highs = [0.0, *borders], [*borders, None]
    return tuple(
        BandwidthRange(low=low, high=high, split=split) for low, high, split in zip(lows, highs, kept, strict=True)
    )


def _rate(costs: TierCosts, shares: Sequence[float], cost: str, factor: float) -> RateFacts:
    scaled = scaled_rates(shares, factor)
    best = costs.best(scaled, cost)
    latency = costs[TIER_LATENCY].columns([best.split])[0] @ np.array(scaled)
    return RateFacts(factor=factor, early=1.0 - scaled[-1], split=costs.named(best.split), latency_ms=float(latency))


def _lines(
    at: Callable[[float], TierCosts], mbits: NDArray[np.float64], names: Sequence[TierSplit], shares: Sequence[float]
) -> BandwidthLines:
    rows = []
    for mbit, name in zip(mbits, names, strict=True):
        costs = at(float(mbit))
        length, links = costs[TIER_LATENCY].length, len(costs.tiers.links)
        chosen = [costs.positions(name), (length,) * links, (0,) * links]
        rows.append(costs[TIER_LATENCY].columns(chosen) @ np.asarray(shares))
    best, edge, cloud = np.array(rows).T
    return BandwidthLines(mbit=mbits, best=best, edge_only=edge, cloud_only=cloud, splits=tuple(names))
