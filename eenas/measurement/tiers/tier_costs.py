"""The costs of a network over tiers: milliseconds end to end, bytes, energy and price of each part and each split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import MeasurementError, nearest
from eenas.escaping import shortened
from eenas.measurement.tiers.best_split import BestSplit, best_split
from eenas.measurement.tiers.part_costs import PartCosts
from eenas.measurement.tiers.part_times import PartTimes
from eenas.measurement.tiers.tiers import Tiers
from eenas.tier_names import (
    BYTES_SENT,
    CLOUD_ONLY,
    EDGE_ONLY,
    PRICE,
    TIER_ENERGY,
    TIER_LATENCY,
    TierSplit,
    codec_fault,
)

UNITS = {TIER_LATENCY: "ms", BYTES_SENT: "bytes", TIER_ENERGY: "J", PRICE: ""}
"""Their units; a price has the currency of the study file."""
_FLOAT = 4
_ANSWER = 20
"""Bytes of an answer without its logits: class and exit in 8 bytes each, a confidence in 4."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TieredNetwork:
    """A network as tiers see it: its times on each of T tiers, and the data at each cut point.

    `cut_points` [L - 1] end the segments but the last, whose features have `elements` [L - 1] values for each sample.
    `after` [K] are the numbers of segments before each exit. `input_bytes` are those of a raw input, which neither
    codec nor compression of a link changes. With `logits_sent` the logits of the exits passed travel with the features,
    for a policy or a branch behind the split that needs them. `carried` [L - 1] counts the columns of the features that
    no codec may change (empty: none at any cut point).
    """

    times: tuple[PartTimes, ...]
    cut_points: tuple[str, ...]
    elements: tuple[int, ...]
    after: tuple[int, ...]
    num_classes: int
    input_bytes: int
    logits_sent: bool = False
    carried: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the counts fit."""
        length = len(self.cut_points) + 1
        counts = {len(self.elements) + 1, *(len(each.segments_ms) for each in self.times)}
        counts |= {len(self.carried) + 1} if self.carried else set()
        if counts != {length}:
            raise MeasurementError(f"{length - 1} cut points need as many sizes and {length} segments, got {counts}")

    @property
    def answer_bytes(self) -> int:
        """Bytes of an answer: class, exit, confidence and logits."""
        return _ANSWER + _FLOAT * self.num_classes

    def logits_bytes(self, done: int) -> int:
        """Bytes of logits that travel with the features after so many segments."""
        passed = sum(after <= done for after in self.after[:-1])
        return _FLOAT * self.num_classes * passed if self.logits_sent else 0


@dataclass(frozen=True, kw_only=True, eq=False)
class TierCosts:
    """The costs of a network over `tiers` by name: milliseconds and bytes, energy and price where they are given.

    `tier_latency` is the time until the answer is back on the first tier. `bytes_sent` counts features and headers
    towards the last tier, over all links. `tier_energy` and `price` also count the answers. `sent_bytes` [T - 1, L + 1]
    are the bytes of a request over each link after so many segments, with headers, and `answer_bytes` those of an
    answer without headers.
    """

    tiers: Tiers
    cut_points: tuple[str, ...]
    costs: dict[str, PartCosts]
    sent_bytes: NDArray[np.float64]
    answer_bytes: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the costs that are known."""
        return tuple(self.costs)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The names [L + 1] of the places where a link can be crossed: "", the cut points, "final"."""
        return (CLOUD_ONLY, *self.cut_points, EDGE_ONLY)

    def __getitem__(self, name: str) -> PartCosts:
        """Return one cost. Raises MeasurementError for an unknown name, with the nearest one."""
        if name not in self.costs:
            hint = {TIER_ENERGY: "; give watts to a tier or joules_per_mb to a link", PRICE: "; give a price_per_gb"}
            raise MeasurementError(
                f"tiers have no cost {shortened(name)} here{hint.get(name, '')}; {nearest(name, self.costs)}"
            )
        return self.costs[name]

    def positions(self, split: TierSplit) -> tuple[int, ...]:
        """Return a split [T - 1] as numbers of segments.

        Raises MeasurementError for an unknown cut point, for one behind the last exit, and for another number or order.
        """
        given = (split,) if isinstance(split, str) else tuple(split)
        if len(given) != len(self.tiers.links):
            raise MeasurementError(
                f"{len(self.tiers.tiers)} tiers need {len(self.tiers.links)} cut points, one for each link, got "
                f"{shortened(given)}"
            )
        known = self.split_names
        for name in given:
            if name not in known:
                raise MeasurementError(
                    f"no split at {shortened(name)}: it is no cut point before the last exit; {nearest(name, known)}; "
                    f"'' runs everything on {self.tiers.names[-1]!r}, 'final' on {self.tiers.names[0]!r}"
                )
        found = tuple(known.index(name) for name in given)
        if list(found) != sorted(found):
            raise MeasurementError(f"the cut points of a split must be in order of depth, got {shortened(given)}")
        return found

    def named(self, positions: Sequence[int]) -> TierSplit:
        """Return the name of a split, the inverse of `positions`."""
        names = tuple(self.split_names[each] for each in positions)
        return names[0] if len(names) == 1 else names

    def columns(self, split: TierSplit, *, cloud_branches: bool = True) -> dict[str, NDArray[np.float64]]:
        """Return each cost [K] of leaving at each exit under a split."""
        at = [self.positions(split)]
        return {name: each.columns(at, cloud_branches=cloud_branches)[0] for name, each in self.costs.items()}

    def best(
        self, shares: Sequence[float], cost: str = TIER_LATENCY, *, cloud_branches: bool | None = True
    ) -> BestSplit:
        """Return the best split for the shares [K] of leaving; see `best_split`."""
        return best_split(self[cost], shares, cloud_branches=cloud_branches)


def tier_costs(network: TieredNetwork, tiers: Tiers) -> TierCosts:
    """Return the costs of a network over tiers.

    A segment and an exit cost their time on a tier, and its power times that time. Crossing a link costs one request
    (`Link.send_ms`), the bytes both ways, and the receiving tier's time of an answer outside its programs. Raises
    MeasurementError unless there are times for every tier, and for a codec that changes carried columns.
    """
    if len(network.times) != len(tiers.tiers):
        raise MeasurementError(f"{len(tiers.tiers)} tiers need as many times, got {len(network.times)}")
    _check_codecs(network, tiers)
    length, answer = len(network.cut_points) + 1, network.answer_bytes
    segments = np.stack([each.segments_ms for each in network.times])
    segments[0, 0] += network.times[0].entry_ms
    exits = np.stack([each.exits_ms for each in network.times])
    watts = np.array([[each.watts] for each in tiers.tiers])
    hops = {name: np.zeros((len(tiers.links), length + 1)) for name in UNITS}
    for row, link in enumerate(tiers.links):
        entry = network.times[row + 1].entry_ms
        for done in range(length):  # the last column is never used: nothing crosses the link behind the last exit
            features = network.input_bytes if done == 0 else link.encoded_bytes(network.elements[done - 1])
            payload = features + network.logits_bytes(done)
            both = payload + answer + 2 * link.overhead_bytes
            hops[TIER_LATENCY][row, done] = link.send_ms(payload, answer) + entry
            hops[BYTES_SENT][row, done] = payload + link.overhead_bytes
            hops[TIER_ENERGY][row, done] = link.joules(both) + tiers.tiers[row + 1].watts * entry / 1e3
            hops[PRICE][row, done] = link.price(both)
    energy = watts.any() or any(link.joules_per_mb for link in tiers.links)
    price = any(link.price_per_gb for link in tiers.links)
    rates = {TIER_LATENCY: np.ones_like(watts), TIER_ENERGY: watts / 1e3}
    nothing = np.zeros_like(watts)
    costs = {
        name: PartCosts(
            segments=rates.get(name, nothing) * segments,
            branches=rates.get(name, nothing) * exits,
            hops=hops[name],
            after=network.after,
        )
        for name, present in {TIER_LATENCY: True, BYTES_SENT: True, TIER_ENERGY: energy, PRICE: price}.items()
        if present
    }
    return TierCosts(
        tiers=tiers,
        cut_points=network.cut_points,
        costs=costs,
        sent_bytes=hops[BYTES_SENT],
        answer_bytes=answer,
    )


def _check_codecs(network: TieredNetwork, tiers: Tiers) -> None:
    for link in tiers.links:
        for name, carried in zip(network.cut_points, network.carried, strict=False):
            if fault := codec_fault(link.codec, carried):
                raise MeasurementError(f"cut point {name!r}, codec {link.codec!r} of a link: {fault}")
