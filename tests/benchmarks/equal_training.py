"""The search against its rivals at equal training: every arm sees the same samples in the same order, three seeds.

    python tests/benchmarks/equal_training.py search  --out equal --minutes 10   # again, until it says done
    python tests/benchmarks/equal_training.py train   --out equal --minutes 10   # again, until nothing is left
    python tests/benchmarks/equal_training.py summary --out equal --csv docs/equal_training.csv > table.md

Each takes `--task npz:cifar10.npz --weights cifar10_resnet20.safetensors`. Arms: what the search recommends for 25, 50,
75 and 100 % of the backbone's MACs; uniform placement by hand; SDN and ZTW as published; the frozen front's design;
eight random designs of the space; static networks, truncated at the deepest cut point that keeps each budget, in two
recipes; the plain backbone as it is. `train --arm NAME --seed N` runs some of them. What was cut off is resumed, and
several processes may share a folder. Thresholds are fitted on calibration; figures are of the test split.
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from equal_arms import RANDOM, SEARCH, SHARES, Arm, find_arms, lay, run_search, write_json
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from eenas.networks.tables import exit_table
from eenas.policies.bootstrap import paired_bootstrap
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.fit import fit_at_shares
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext
from eenas.training.checkpoints import Checkpoint
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import RoundReport, Verdict, train_network

SPLITS = ("calibration", "validation", "test")
PLAIN, BEST_RANDOM = "plain backbone", f"{RANDOM}, best of all on validation"


def folder_of(given: argparse.Namespace, arm: Arm, seed: int) -> Path:
    """Where the run of an arm lies."""
    folder: Path = given.out / f"{given.samples}" / f"{arm.network}-seed{seed}"
    return folder


def train_arm(on: StudyContext, arm: Arm, seed: int, given: argparse.Namespace, deadline: float) -> None:
    """Train an arm, from its checkpoint where there is one, and keep its exit tables; or leave a checkpoint."""
    folder = folder_of(given, arm, seed)
    folder.mkdir(parents=True, exist_ok=True)
    network, costs = on.build(arm.design), on.costs(arm.design)
    checkpoint = folder / "checkpoint.pt"

    def in_time(report: RoundReport) -> Verdict:
        late = time.monotonic() > deadline and report.progress < 1
        return Verdict.STOP if late else Verdict.CONTINUE

    report = train_network(
        network,
        on.task,
        TrainingPlan(
            choice=arm.design.training,
            spec=TrainingSpec(samples=given.samples, batch_size=64),
            costs=costs.costs["macs"].tolist(),
            seed=derive(seed, "equal training"),
            execution=on.execution,
        ),
        after_epoch=in_time,
        checkpoint=Checkpoint(checkpoint),
    )
    if report.stopped:
        return
    for split in SPLITS:
        exit_table(network, on.task.split(split), costs).save(folder / f"{split}.npz")
    write_json(folder / "run.json", {"seconds": report.seconds, "samples": report.samples})
    checkpoint.unlink(missing_ok=True)
    print(f"{arm.name}, seed {seed}: {report.samples} samples in {report.seconds:.0f} s", flush=True)


def train_all(given: argparse.Namespace) -> None:
    """Train what is missing of the wanted arms and seeds until the minutes are over."""
    deadline = time.monotonic() + 60 * given.minutes
    arms = find_arms(given)
    if not any(arm.name.startswith(SEARCH) for arm in arms):
        print("the search is not done, so that its own arms are left out; run `search` first", flush=True)
    if unknown := set(given.arm or ()) - {arm.name for arm in arms}:
        raise SystemExit(f"no arm {sorted(unknown)[0]!r}; there are {', '.join(repr(arm.name) for arm in arms)}")
    left = 0
    for seed in given.seed or (1, 2, 3):
        on = cache(lambda seed=seed: lay(given, seed))
        for arm in arms:
            folder = folder_of(given, arm, seed)
            if (given.arm and arm.name not in given.arm) or (folder / "run.json").exists():
                continue
            if time.monotonic() < deadline:
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    with FileLock(folder / ".lock", timeout=0):
                        if not (folder / "run.json").exists():
                            train_arm(on(), arm, seed, given, deadline)
                except Timeout:
                    pass  # another process trains it
            left += not (folder / "run.json").exists()
    print("all done" if not left else f"{left} runs are left; repeat the command", flush=True)


@dataclass(frozen=True)
class Row:
    """One arm with one seed at every budget: accuracy and share of MACs on test, and who was right [N] there."""

    arm: Arm
    seed: int
    samples: int
    seconds: float
    validation: Mapping[float, float]
    test: Mapping[float, float]
    spent: Mapping[float, float]
    right: Mapping[float, NDArray[np.bool_]]


def score(arm: Arm, seed: int, run: Mapping[str, float], tables: Mapping[str, ExitTable], total: float) -> Row:
    """The row of an arm from its exit tables; budgets that no policy of it keeps are left out."""
    validation, test, spent, right = {}, {}, {}, {}
    found = [fit_at_shares(tables["calibration"], tables[split], total, SHARES, arm.design.policy) for split in SPLITS]
    for share, _, seen, point in zip(SHARES, *found, strict=True):
        if seen is None or point is None:
            continue
        validation[share], test[share], spent[share] = seen.accuracy, point.accuracy, point.expected["macs"] / total
        right[share] = point.policy.apply(tables["test"]).answer == tables["test"].labels
    return Row(arm, seed, int(run["samples"]), run["seconds"], validation, test, spent, right)


def rows_of(given: argparse.Namespace) -> Iterator[Row]:
    """The rows of all runs that are finished, and of the plain backbone."""
    on = lay(given, given.search_seed)
    total, arms = float(on.profile.total_macs), find_arms(given)
    for arm in arms:
        for seed in given.seed or (1, 2, 3):
            folder = folder_of(given, arm, seed)
            if (folder / "run.json").exists():
                tables = {split: load_exit_table(folder / f"{split}.npz") for split in SPLITS}
                yield score(arm, seed, json.loads((folder / "run.json").read_text()), tables, total)
    for seed in given.seed or (1, 2, 3):
        tables = {split: on.plain_table(split) for split in SPLITS}
        yield score(Arm(PLAIN, on.plain_design()), seed, {"samples": 0, "seconds": 0.0}, tables, total)


def at_budget(rows: list[Row], name: str, share: float) -> dict[int, Row]:
    """The rows by seed that stand for a rival at a budget: its own, or of the random ones the best on validation."""
    if name != BEST_RANDOM:
        return {row.seed: row for row in rows if row.arm.name == name and share in row.test}
    best: dict[int, Row] = {}
    for row in rows:
        if row.arm.name.startswith(RANDOM) and share in row.test:
            best[row.seed] = max(best.get(row.seed, row), row, key=lambda each: each.validation[share])
    return best


def cell(rival: Mapping[int, Row], ours: Mapping[int, Row], share: float) -> str:
    """Mean accuracy over seeds in percent, and ours less it with the interval of the paired bootstrap."""
    if not rival:
        return "–"
    text = f"{100 * np.mean([row.test[share] for row in rival.values()]):.1f}"
    if both := sorted(ours.keys() & rival.keys()):
        a, b = (np.mean([rows[seed].right[share] for seed in both], axis=0) for rows in (ours, rival))
        mean, low, high = (100 * value for value in paired_bootstrap(a, b, rounds=2000, seed=0))
        text += f" ({mean:+.1f}, {low:+.1f} to {high:+.1f})"
    return text


def summary(given: argparse.Namespace) -> None:
    """Print the table as markdown, and write the rows as CSV."""
    rows = list(rows_of(given))
    names = [name for name in dict.fromkeys(row.arm.name for row in rows) if not name.startswith(SEARCH)]
    if any(name.startswith(RANDOM) for name in names):
        names.insert(next(i for i, name in enumerate(names) if name.startswith(RANDOM)), BEST_RANDOM)
    ours = {share: at_budget(rows, f"{SEARCH} {share:.0%}", share) for share in SHARES}
    lines = {"search, its recommendation": [cell(ours[share], {}, share) for share in SHARES]}
    lines |= {name: [cell(at_budget(rows, name, share), ours[share], share) for share in SHARES] for name in names}
    tested = len(next(iter(rows[-1].right.values())))
    budgets = " | ".join(f"{share:.0%}" for share in SHARES)
    print(f"Accuracy in % on {tested:,} test samples, mean over seeds; in brackets the search less the rival, with the")
    print(f"95 % interval of the paired bootstrap.\n\n| | found in | seeds | {budgets} |\n|---|---|---|{'---|' * 4}")
    for name, cells in lines.items():
        its = [row for row in rows if row.arm.name == name or name.startswith(f"{row.arm.name.partition(' ')[0]}, ")]
        seeds = len({row.seed for row in its})
        print(f"| {name} | {found_in(name, its, seeds)} | {seeds} | {' | '.join(cells)} |")
    if given.csv:
        given.csv.write_text(_csv(rows), encoding="utf-8")


def found_in(name: str, its: list[Row], seeds: int) -> str:
    """What an arm took to be found; the best of several, their trainings."""
    if not its:
        return "–"
    seconds, samples = its[0].arm.seconds, its[0].arm.samples
    if name == BEST_RANDOM:
        seconds, samples = (sum(getattr(row, what) for row in its) // seeds for what in ("seconds", "samples"))
    return f"{seconds:,.0f} s, {samples:,} samples" if samples else "0"


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    table = [
        {
            "arm": row.arm.name,
            "seed": row.seed,
            "samples": row.samples,
            "network": row.arm.network,
            "found_seconds": round(row.arm.seconds),
            "found_samples": row.arm.samples,
            "train_seconds": round(row.seconds),
            **{f"validation_{share:.0%}": _number(row.validation, share) for share in SHARES},
            **{f"test_{share:.0%}": _number(row.test, share) for share in SHARES},
            **{f"macs_{share:.0%}": _number(row.spent, share) for share in SHARES},
        }
        for row in rows
    ]
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _number(values: Mapping[float, float], share: float) -> str:
    return f"{values[share]:.4f}" if share in values else ""


def main() -> None:
    """Run one of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("search", "train", "summary"))
    parser.add_argument("--task", default="npz:cifar10.npz", help="the task (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--study", default="cifar_resnet20", help="the study file (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the folder that everything is kept in")
    parser.add_argument("--samples", type=int, default=60_000, help="training samples of an arm (default: %(default)s)")
    parser.add_argument("--arm", action="append", help="train this arm alone; may be repeated (default: all)")
    parser.add_argument("--seed", type=int, action="append", help="this seed alone; may be repeated (default: 1 to 3)")
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after so long (default: %(default)s)")
    parser.add_argument("--search-seed", type=int, default=1, help="the seed of the search, bank and random designs")
    parser.add_argument("--trials", type=int, help="trials of the search (default: the study's)")
    parser.add_argument("--trial-samples", type=int, help="training samples of a trial (default: the study's)")
    parser.add_argument("--csv", type=Path, help="with summary: write the rows there")
    given = parser.parse_args()
    {"search": run_search, "train": train_all, "summary": summary}[given.step](given)


if __name__ == "__main__":
    main()
