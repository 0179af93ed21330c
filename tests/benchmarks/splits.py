"""The best split of a measured chain over links: `python tests/benchmarks/splits.py EDGE.json CLOUD.json [--csv FILE]`.

Each file is a list of {"first", "last", "ms"}: measured milliseconds of the run of parts `first` to `last` on one
machine, counted from 1, with repeats; any network of such a form will do if --elements gives the values of the features
behind each part but the last. Exits without branches stand behind the parts of --exits. For every link of a grid
(bandwidth, round trip, codec, raw input of one or four bytes a value, exit rate, branches behind the split or not) the
best split that eenas finds is compared with brute force on the measured runs themselves: for each split and exit the
medians of the runs are added up. The costs of parts are differences of measured runs, so that the two may differ where
a run is not the sum of its parts; "excess" is the measured time lost by that. Takes seconds.
"""

import argparse
import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from eenas.measurement.tiers.best_split import best_split, shortest_path
from eenas.measurement.tiers.link import Codec, Link
from eenas.measurement.tiers.part_costs import PartCosts

RESNET20 = (*(16 * 32 * 32,) * 4, *(32 * 16 * 16,) * 3, *(64 * 8 * 8,) * 2)
INPUT = 3 * 32 * 32
MBITS = tuple(float(each) for each in np.geomspace(0.1, 100, 121))
ROUND_TRIPS = (0.0, 5.0, 50.0, 200.0)
RATES = (0.0, 0.25, 0.5, 0.75, 0.9)
CODECS: tuple[Codec, ...] = ("float32", "float16", "int8")
ANSWER = 60
HEADS = (
    *("raw input", "codec", "round trip ms", "exit rate", "branches behind", "links", "equal", "largest excess ms"),
    *("edge-only best up to Mbit/s", "cloud-only best from Mbit/s"),
    *("inner split best from Mbit/s", "to Mbit/s", "largest gain"),
)


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The median milliseconds of every run of parts, by (first, last) from 1, of a chain of `length` parts."""

    ms: dict[tuple[int, int], float]
    length: int

    @classmethod
    def read(cls, path: Path) -> "Runs":
        """Read a file of measured runs."""
        rows = json.loads(path.read_text())
        found = {(int(row["first"]), int(row["last"])): float(median(row["ms"])) for row in rows}
        return cls(ms=found, length=max(last for _, last in found))

    def run(self, first: int, last: int) -> float:
        """Return the time of a run; no parts take no time."""
        return self.ms[first, last] if first <= last else 0.0

    @property
    def from_the_start(self) -> NDArray[np.float64]:
        """The parts as differences of the runs that begin with the first part."""
        return np.diff(np.maximum.accumulate([0.0, *(self.run(1, last) for last in range(1, self.length + 1))]))

    @property
    def to_the_end(self) -> NDArray[np.float64]:
        """The parts as differences of the runs that end with the last part."""
        tails = [self.run(first, self.length) for first in range(1, self.length + 2)]
        return -np.diff(np.maximum.accumulate(tails[::-1])[::-1])


def shares_of(rate: float, exits: int) -> NDArray[np.float64]:
    """Return the shares of leaving if `rate` of those that reach an exit leave there."""
    early = [(1 - rate) ** k * rate for k in range(exits - 1)]
    return np.array([*early, 1 - sum(early)])


def measured(
    edge: Runs, cloud: Runs, hops: NDArray[np.float64], after: Sequence[int], *, branches_behind: bool
) -> NDArray[np.float64]:
    """Return the time [L + 1, K] of leaving at each exit under each split, from measured runs alone."""
    length = edge.length
    found = np.zeros((length + 1, len(after)))
    for split in range(length + 1):
        for k, exit_ in enumerate(after):
            if exit_ <= split:
                found[split, k] = edge.run(1, exit_)
            else:
                end = exit_ if branches_behind else length
                found[split, k] = edge.run(1, split) + hops[split] + cloud.run(split + 1, end)
    return found


def compare(edge: Runs, cloud: Runs, elements: Sequence[int], after: Sequence[int]) -> list[list[object]]:
    """Return a row for each codec, input, round trip, rate and form, over all bandwidths."""
    rows: list[list[object]] = []
    length = edge.length
    segments = np.stack([edge.from_the_start, cloud.to_the_end])
    for raw, codec, round_trip, rate, behind in itertools.product(
        ("1 byte", "4 bytes"), CODECS, ROUND_TRIPS, RATES, (True, False)
    ):
        shares = shares_of(rate, len(after))
        equal, excess, gain = 0, 0.0, 0.0
        best: dict[str, list[float]] = {"edge": [], "cloud": [], "inner": []}
        for mbit in MBITS:
            link = Link(mbit=mbit, round_trip_ms=round_trip, codec=codec, overhead_bytes=0)
            sizes = [INPUT * int(raw[0]), *(link.encoded_bytes(each) for each in elements)]
            hops = np.array([*(link.send_ms(size, ANSWER) for size in sizes), 0.0])
            costs = PartCosts(
                segments=segments, branches=np.zeros((2, len(after))), hops=hops[None], after=tuple(after)
            )
            found = best_split(costs, shares.tolist(), cloud_branches=behind)
            assert abs(found.mean - shortest_path(costs, shares.tolist(), cloud_branches=behind).mean) < 1e-9
            assert abs(found.mean - (costs.columns(costs.splits, cloud_branches=behind) @ shares).min()) < 1e-9
            times = measured(edge, cloud, hops, after, branches_behind=behind) @ shares
            lost = float(times[found.split[0]] - times.min())
            equal += lost < 1e-9
            excess = max(excess, lost)
            ends, inner = min(times[0], times[-1]), times[1:-1].min()
            if inner < ends - 1e-9:
                best["inner"].append(mbit)
                gain = max(gain, float(1 - inner / ends))
            else:
                best["edge" if times[-1] <= times[0] else "cloud"].append(mbit)
        words = {name: [f"{each:.3g}" for each in sorted(mbits)] for name, mbits in best.items()}
        bounds = [
            *(words["edge"][-1:] or [""]),
            *(words["cloud"][:1] or [""]),
            *(words["inner"][:1] or [""]),
            *(words["inner"][-1:] or [""]),
        ]
        form = [raw, codec, f"{round_trip:g}", rate, "yes" if behind else "no"]
        rows.append([*form, len(MBITS), equal, f"{excess:.4f}", *bounds, f"{gain:.1%}" if best["inner"] else ""])
    assert length == len(elements) + 1
    return rows


def main() -> None:
    """Compare all links and print a summary; with --csv write every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edge", type=Path)
    parser.add_argument("cloud", type=Path)
    parser.add_argument("--elements", type=int, nargs="+", default=RESNET20)
    parser.add_argument("--exits", type=int, nargs="*", default=(4, 7))
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    edge, cloud = Runs.read(given.edge), Runs.read(given.cloud)
    after = (*given.exits, edge.length)
    rows = compare(edge, cloud, given.elements, after)
    links = sum(int(str(row[5])) for row in rows)
    for name in ("no", "yes"):
        chosen = [row for row in rows if row[4] == name]
        same, of = sum(int(str(row[6])) for row in chosen), sum(int(str(row[5])) for row in chosen)
        worst = max(float(str(row[7])) for row in chosen)
        print(f"branches behind the split: {name}: {same:,} of {of:,} optima equal brute force, at most {worst:.4f} ms")
    print(f"{links:,} links; whole network {edge.run(1, edge.length):.2f} and {cloud.run(1, cloud.length):.2f} ms")
    for row in rows:
        if row[10] or (row[1] == "float32" and row[3] == 0):
            print(" ".join(map(str, row)))
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([HEADS, *rows])


if __name__ == "__main__":
    main()
