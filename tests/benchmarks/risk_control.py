"""Coverage and price of certified thresholds: `python tests/benchmarks/risk_control.py TABLE.npz... [--csv FILE]`.

TABLE are exit tables of one network on data that it was not trained on, for example the calibration, validation and
test tables of a network that equal_training.py keeps; they are joined. Each of 200 resamplings draws calibration
samples in two ways. "draws": with replacement, so that the risk on the whole table is the true one, which the guarantee
is about. "halves": a random half, with the risk on the other half, which also has the noise of a finite test split.
"exceeded" is the share of resamplings whose risk is above the limit. "price" compares the mean MACs of the certified
policy with those of the cheapest threshold that knows the data it is judged on. Takes a few minutes on one core.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eenas.policies.costs import MACS
from eenas.policies.curve import common_curve, signal_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.policies.risk.control import RiskLimit, controlled
from eenas.policies.risk.losses import losses_of
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

RESAMPLINGS, SAMPLES = 200, 5000
HEADS = (
    "samples drawn",
    "loss",
    "limit",
    "method",
    "mean risk",
    "exceeded",
    "MACs",
    "of it: knowing the data",
    "price",
)


def joined(paths: Sequence[Path]) -> ExitTable:
    """Return the samples of several tables of one network."""
    tables = [load_exit_table(path) for path in paths]
    logits, labels = (np.concatenate([getattr(each, name) for each in tables]) for name in ("logits", "labels"))
    return replace(tables[0], logits=logits, labels=labels, contexts=None)


def risk(policy: Policy, table: ExitTable, loss: str) -> float:
    """Return the mean loss of a policy on a table."""
    answers = np.stack([policy.apply(table).answer, table.answers()[:, -1]], axis=1)
    return float(losses_of(answers, table.labels, loss)[:, 0].mean())


def knowing(table: ExitTable, limit: RiskLimit) -> float:
    """Return the least mean MACs of a common threshold within the limit on a table, from this table itself."""
    signals = branch_scores(table.logits, fit_temperatures(table))
    kept = losses_of(table.answers(), table.labels, limit.loss) == 0
    curve = signal_curve(signals, kept, table)
    return float(curve.costs[MACS][curve.accuracy >= 1 - limit.max_risk - 1e-12].min())


def measured(table: ExitTable, limit: RiskLimit, way: str) -> tuple[object, ...]:
    """Return one row of the result."""
    risks: list[float] = []
    spent: list[float] = []
    known: list[float] = []
    for seed in range(RESAMPLINGS):
        generator = np.random.default_rng(seed)
        if way == "draws":
            calibration, judged = table.take(generator.integers(len(table), size=SAMPLES)), table
        else:
            order = generator.permutation(len(table))
            calibration, judged = table.take(order[: len(table) // 2]), table.take(order[len(table) // 2 :])
        policy = controlled(calibration, limit, seed=seed).policy
        risks.append(risk(policy, judged, limit.loss))
        spent.append(evaluate(policy, judged).expected[MACS])
        known.append(knowing(judged, limit) if way == "halves" or not known else known[0])
    whole = table.costs[MACS][-1]
    return (
        way,
        limit.loss,
        f"{limit.max_risk:.1%}",
        "conformal" if limit.confidence is None else limit.method,
        f"{np.mean(risks):.2%}",
        f"{np.mean(np.array(risks) > limit.max_risk):.1%}",
        f"{np.mean(spent) / whole:.1%}",
        f"{np.mean(known) / whole:.1%}",
        f"{np.mean(spent) / np.mean(known) - 1:+.1%}",
    )


def main(given: Sequence[str]) -> None:
    """Print a row for each way of drawing, loss, limit and method."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--csv", type=Path, default=None)
    asked = parser.parse_args(given)
    table = joined(asked.tables)
    points = len(common_curve(table))
    print(f"{len(table):,} samples x {table.num_exits} exits, {points:,} thresholds; {RESAMPLINGS} resamplings")
    rows: list[tuple[object, ...]] = [HEADS]
    print(" | ".join(HEADS))
    for way in ("draws", "halves"):
        for loss, max_risk in (("gap", 0.01), ("gap", 0.02), ("consistency", 0.02)):
            for method in ("binomial", "hoeffding_bentkus", "betting", "conformal"):
                test = "binomial" if method == "conformal" else method
                sure = None if method == "conformal" else 0.95
                limit = RiskLimit(max_risk=max_risk, confidence=sure, loss=loss, method=test)
                rows.append(measured(table, limit, way))
                print(" | ".join(map(str, rows[-1])), flush=True)
    if asked.csv is not None:
        with asked.csv.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
