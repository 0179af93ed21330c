"""A search for milliseconds over a device and a server against the same search for MACs, on CIFAR-10.

    python tests/benchmarks/tier_search.py search  --out tiers --minutes 5   # again, until it says done
    python tests/benchmarks/tier_search.py train   --out tiers --minutes 5   # again, until it says done
    python tests/benchmarks/tier_search.py summary --out tiers --csv docs/tier_search.csv

Each takes `--data cifar10.npz --weights cifar10_resnet20.safetensors`. Two studies have the same tiers, trials and
seed, and differ in their objectives only: accuracy and MACs, or accuracy and `tier_latency`. Both give each point its
best split. From each study, the point with the least cost of its own objective that loses at most DROP on validation is
trained. The summary compares, on the test split, the least expected milliseconds at equal accuracy: at most each loss
of LOSSES against the plain backbone, whose own best split, edge alone and cloud alone stand beside it. Interrupted
pieces are resumed.
"""

import argparse
import csv
import json
from pathlib import Path

from two_studies import run_searches, storage

from eenas.errors import FrontError
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.split_costs import split_words
from eenas.records.artifacts import ArtifactStore
from eenas.results.choice import Choice
from eenas.results.read import open_results
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.tier_names import TIER_LATENCY

STUDIES = {"macs": ("accuracy", "macs"), "tiers": ("accuracy", TIER_LATENCY)}
DROP = 0.01
LOSSES = (0.005, 0.01, 0.02, 0.04)


def overrides(given: argparse.Namespace, objectives: tuple[str, ...]) -> list[str]:
    """The tiers, and the objectives."""
    return [
        f"tiers.edge.factor={given.factor}",
        f"tiers.edge.link.preset={given.link}",
        "tiers.cloud.factor=1.0",
        f"search.objectives={json.dumps(objectives)}",
    ]


def search_both(given: argparse.Namespace) -> None:
    """Search both studies, as far as the time goes."""
    run_searches(given, {name: overrides(given, objectives) for name, objectives in STUDIES.items()})


def run_training(given: argparse.Namespace) -> None:
    """Train the cheapest point of each study that loses at most DROP."""
    for name in STUDIES:
        full = (f"full_training.samples={given.full}",)
        choice = Choice(max_accuracy_drop=DROP)
        try:
            report = train(storage(given), name=name, choice=choice, out=given.out / name, device="cpu", overrides=full)
        except FrontError as error:  # no network within the loss saves anything; the summary then has nothing to say
            print(f"{name}: {error}")
            continue
        print(f"{name}: {report.network}, {report.reported.accuracy:.4f}, {dict(report.reported.expected)}")
    print("done")


def least(points: tuple[OperatingPoint, ...], floor: float) -> OperatingPoint | None:
    """The point with the least milliseconds among those with this accuracy, or None."""
    held = [point for point in points if point.accuracy >= floor]
    return min(held, key=lambda point: point.expected[TIER_LATENCY], default=None)


def summarise(given: argparse.Namespace) -> None:
    """Write the least milliseconds of each network at each loss, and of the plain backbone under its fixed splits."""
    reports = {name: RunReport.read(given.out / name) for name in STUDIES}
    results = open_results(storage(given), "tiers")
    plain = next(network for network in results.networks if network.kind == "plain")
    store = ArtifactStore.beside(storage(given), None)
    costs = load_exit_table(store.path(plain.artifacts["validation"])).costs
    backbone = next(base.points[0] for base in reports["tiers"].baselines if base.name == "backbone")
    rows = [
        (
            "plain backbone",
            split_words(split),
            "",
            f"{backbone.accuracy:.4f}",
            f"{costs.under(split)[TIER_LATENCY][0]:.3f}",
        )
        for split in dict.fromkeys(("", "final", plain.points[0].split or ""))
    ]
    for name, report in reports.items():
        for loss in LOSSES:
            point = least((*report.points, report.reported), backbone.accuracy - loss)
            if point is not None:
                split = "" if point.split is None else split_words(point.split)
                figures = (f"{point.accuracy:.4f}", f"{point.expected[TIER_LATENCY]:.3f}")
                rows.append((f"search for {name}: {report.network}", split, f"{loss:g}", *figures))
    with given.csv.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("network", "split", "accepted_loss", "accuracy", "expected_ms"))
        writer.writerows(rows)
    for row in rows:
        print(*row, sep=", ")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("search", "train", "summary"))
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--factor", type=float, default=10.0, help="times as slow as this machine the device is")
    parser.add_argument("--link", default="4g", help="a preset of a link (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8000, help="training samples of a trial")
    parser.add_argument("--full", type=int, default=60000, help="training samples of a chosen network")
    parser.add_argument("--held-out", type=int, default=2500, help="images of calibration and of validation")
    parser.add_argument("--minutes", type=float, default=5.0, help="the time for this piece of the search")
    parser.add_argument("--out", type=Path, required=True, help="the folder of databases and runs")
    parser.add_argument("--csv", type=Path, default=Path("tier_search.csv"))
    return parser.parse_args()


def main() -> None:
    """Run one step."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    {"search": search_both, "train": run_training, "summary": summarise}[given.step](given)


if __name__ == "__main__":
    main()
