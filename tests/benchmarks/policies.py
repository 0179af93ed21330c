"""Learned policies against one common threshold on exit tables: at equal MACs, and by the reward they are trained for.

    python tests/benchmarks/policies.py --out policies.csv --table "resnet20 5 exits" calibration.npz test.npz

Tables of small networks that the script trains on scikit-learn's digits, one for each seed, are always compared. A
table that is given again under one name counts as the next seed. Rows "budget" compare at equal mean MACs, with the
policy fitted on calibration. Rows "price", for the kinds that are trained for it, compare the mean of correct - price x
relative cost: of the decision at probability 0.5, and of the best threshold by this mean on calibration. Intervals
are paired bootstraps over test samples.

    python tests/benchmarks/policies.py --times

measures one decision of each kind in the runtime's form, with nothing else running: a sample alone, and in a batch.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from cifar import Rows
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from eenas.policies.bootstrap import paired_bootstrap
from eenas.policies.costs import MACS, Costs
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.kinds.signal_policy import Evidence, leave
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.learned.comparison import compare_learned
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.learned.selection import TRAINERS, can_train
from eenas.policies.learned.training_data import TrainingData
from eenas.policies.policy import Policy
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

BUDGETS, PRICES = (0.3, 0.5, 0.7, 0.9), (0.1, 0.3, 0.6)
REWARDED = ("policy_gradient", "reinforce", "backward_regression")
"""The kinds that are trained for the reward. The prices of `eenet` and `jei_dnn` are in nats of cross-entropy."""
TABLES = tuple[ExitTable, ExitTable]


def digits_tables(seed: int) -> TABLES:
    """The calibration (600) and test (597) tables of a network with two branches on 600 digits, trained jointly."""
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x, y = torch.from_numpy(images[order] / 16).float().reshape(-1, 1, 8, 8), torch.from_numpy(labels[order])
    parts = [
        nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
    ]
    heads = [nn.Sequential(nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10)) for width in (8, 16, 32)]
    network = nn.ModuleList([*parts, *heads])

    def logits(batch: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for part, head in zip(parts, heads, strict=True):
            batch = part(batch)
            found.append(head(batch))
        return found

    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(60):
        rows = torch.randint(600, (64,))
        loss = sum((cross_entropy(each, y[rows]) for each in logits(x[rows])), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    macs = np.cumsum([8 * 9 * 64, 8 * 16 * 9 * 64, 16 * 32 * 9 * 16]) + np.cumsum([320, 640, 1280])
    with torch.no_grad():
        everything = torch.stack(logits(x), dim=1).numpy()
    first, second = (
        ExitTable(
            logits=everything[start:end],
            labels=labels[order][start:end],
            exits=("first", "second", "final"),
            costs=Costs.of(macs=macs),
        )
        for start, end in ((600, 1200), (1200, len(labels)))
    )
    return first, second


def at_prices(kind: str, tables: TABLES, seed: int) -> Iterable[dict[str, object]]:
    """The mean reward on test at each price: of the policy at probability 0.5, and of the best common threshold."""
    calibration, test = tables
    cls, temperatures = LEARNED[kind], tuple(fit_temperatures(calibration).tolist())
    data, judged = (TrainingData.of(table, temperatures, cls.inputs) for table in tables)
    curve = common_curve(calibration, temperatures)
    scores, rows = branch_scores(test.logits, temperatures), np.arange(len(test))
    trained = TRAINERS[kind](data, PRICES, seed)
    for number, price in enumerate(PRICES):
        first, last = trained[min(number, len(trained) - 1)]
        policy = cls(temperatures=temperatures, first=first, last=last, limit=0.5)
        share = curve.costs[MACS] / calibration.costs[MACS][-1]
        threshold = float(curve.thresholds[int(np.argmax(curve.accuracy - price * share))])
        others = leave(scores, np.full(scores.shape[1], threshold))
        rewards = judged.rewards(price)
        one, other = rewards[rows, policy.apply(test).exit_index], rewards[rows, others]
        yield row("price", price, float(one.mean()), float(other.mean()), paired_bootstrap(one, other, seed=0))


def row(by: str, at: float, value: float, other: float, found: tuple[float, float, float]) -> dict[str, object]:
    """The columns of a comparison."""
    difference, low, high = found
    said = "won" if low > 0 else "did not win" if high < 0 else "within noise"
    numbers = {"policy": value, "threshold": other, "difference": difference, "low": low, "high": high}
    return {"by": by, "at": at, **{name: f"{number:.4f}" for name, number in numbers.items()}, "verdict": said}


def compare(out: Path, given: dict[str, list[TABLES]], seeds: int) -> None:
    """Add the rows that the CSV lacks, each kind on each table with its seed."""
    rows = Rows(out, ("data", "kind", "seed"))
    for data, kind, seed in rows.missing(product(given, LEARNED, range(seeds))):
        sources = given[str(data)]
        if int(str(seed)) >= len(sources):
            continue
        tables, name = sources[int(str(seed))], str(kind)
        assert can_train(tables[0]), f"{data}: too few calibration samples"
        total = float(tables[1].costs[MACS][-1])
        found = [
            row("budget", one.budget, one.accuracy, one.threshold_accuracy, (one.difference, one.low, one.high))
            for one in compare_learned(*tables, backbone_macs=total, kinds=[name], budgets=BUDGETS, seed=int(str(seed)))
        ]
        if name in REWARDED:
            found += at_prices(name, tables, int(str(seed)))
        for each in found:
            rows.add({"data": data, "kind": kind, "seed": seed, **each})
    summary(rows.rows)


def summary(rows: list[dict[str, str]]) -> None:
    """Print the mean difference of each kind and data, in points, and how often it won, tied and lost."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for each in rows:
        groups[each["data"], each["by"], each["kind"]].append(each)
    for (data, by, kind), group in sorted(groups.items()):
        mean = 100 * float(np.mean([float(each["difference"]) for each in group]))
        counts = [sum(each["verdict"] == word for each in group) for word in ("won", "within noise", "did not win")]
        print(f"| {data} | {by} | `{kind}` | {mean:+.2f} | {' / '.join(map(str, counts))} |")


def times(classes: int = 10, exits: int = 5, samples: int = 2000) -> None:
    """Print the microseconds of a decision: of one sample alone at a branch, and of a sample in a batch of 64."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, exits, classes)).astype(np.float32) * 2
    logits[np.arange(samples), :, labels] += np.linspace(1, 4, exits)
    table = ExitTable(
        logits=logits,
        labels=labels,
        exits=tuple(map(str, range(exits))),
        costs=Costs.of(macs=np.arange(1.0, exits + 1)),
    )
    temperatures = tuple(fit_temperatures(table).tolist())
    threshold = ThresholdPolicy(score="max_softmax", temperatures=temperatures, thresholds=(0.9,) * (exits - 1))
    policies: dict[str, Policy] = {"threshold": threshold}
    for kind, cls in LEARNED.items():
        (first, last), *_ = TRAINERS[kind](TrainingData.of(table, temperatures, cls.inputs), (0.3,), 0)
        policies[kind] = cls(temperatures=temperatures, first=first, last=last, limit=0.5)
        policies[kind].apply(table)
        assert Evidence(table, temperatures).features.shape[0] == samples
    print(f"microseconds of a decision, {classes} classes, {exits} exits: alone, in a batch of 64")
    for kind, policy in policies.items():
        print(f"{kind:20} {per_sample(policy, logits, 1):6.1f} {per_sample(policy, logits, 64):6.2f}", flush=True)


def per_sample(policy: Policy, logits: NDArray[np.float32], batch: int) -> float:
    """The median microseconds of a sample's decision at one branch, over nine rounds; all samples go on."""
    found = []
    for _ in range(9):
        seconds, count = 0.0, 0
        for start in range(0, 640, batch):
            state = policy.start(batch)
            for k in range(policy.num_exits - 1):
                given = np.ascontiguousarray(logits[start : start + batch, k])
                began = time.perf_counter()
                _, state = policy.decide(k, given, state)
                seconds += time.perf_counter() - began
                count += batch
        found.append(1e6 * seconds / count)
    return float(np.median(found))


def main() -> None:
    """Run the comparison, or measure times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the CSV; rows that it has are not run again")
    parser.add_argument("--table", nargs=3, action="append", default=[], metavar=("NAME", "CALIBRATION", "TEST"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--times", action="store_true", help="measure decisions instead")
    given = parser.parse_args()
    if given.times:
        for classes in (10, 100):
            times(classes)
        return
    tables: dict[str, list[TABLES]] = {"digits": [digits_tables(seed) for seed in range(given.seeds)]}
    for name, *paths in given.table:
        calibration, test = map(load_exit_table, paths)
        tables.setdefault(name, []).append((calibration, test))
    compare(given.out, tables, given.seeds)


if __name__ == "__main__":
    main()
