"""A search for accuracy under distortions against the same search without this objective, on distorted CIFAR-10.

    python tests/benchmarks/robust_search.py search  --out robust --minutes 5   # again, until it says done
    python tests/benchmarks/robust_search.py train   --out robust --minutes 5   # again, until it says done
    python tests/benchmarks/robust_search.py summary --out robust --csv docs/robust_search.csv

Each takes `--data cifar10.npz --weights cifar10_resnet20.safetensors`. Two studies differ in their objectives only:
accuracy and MACs, or these and `distorted_accuracy`. Half of the training images of both are distorted. With
`--draw training`, trials draw between this and training on pristine images; with `--draw experts` they draw experts,
too. No design is queued, since those distil from the pristine backbone, which is wrong on distorted images.
Kinds are Gaussian blur, Gaussian noise and JPEG at severities 1 to 5 of CIFAR-10-C. From the first study, the most
accurate point within 75 % of the MACs is trained; from the second one, the most accurate point under distortions among
those within 75 % of the MACs that lose at most `--drop` on pristine validation samples against the first. Figures are
of the test split. Interrupted pieces are resumed.
"""

import argparse
import csv
import json
from pathlib import Path

from two_studies import run_searches, storage

from eenas.policies.contexts.robustness import DISTORTED
from eenas.policies.operating_point import OperatingPoint
from eenas.results.choice import Choice, choose_design
from eenas.results.read import open_results
from eenas.results.results import StudyResults
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.study.rivals.offered_points import points_of
from eenas.study.settings.limits import Limits

PLAIN, ROBUST = "accuracy, macs", "accuracy, distorted_accuracy, macs"
STUDIES = {"plain": PLAIN, "robust": ROBUST}
BUDGET = 0.75
TRAINING = ("space.training.distorted=[true, false]",)
EXPERTS = ('space.training.experts=["none", "per_kind"]', "experts.training.samples=20000")
DRAWN = {"nothing": (), "training": TRAINING, "experts": (*TRAINING, *EXPERTS)}


def overrides(given: argparse.Namespace, objectives: str) -> list[str]:
    """The distortions, and the objectives."""
    names = ", ".join(f'"{name}"' for name in objectives.split(", "))
    return [
        'task.distortions.kinds=["gaussian_blur", "gaussian_noise", "jpeg"]',
        "task.distortions.share=0.5",
        *DRAWN[given.draw],
        f"search.objectives=[{names}]",
        "search.prune=false",
        "search.known_designs=false",
        "bank.designs=0",
        "latency.seconds=0.05",
    ]


def search_both(given: argparse.Namespace) -> None:
    """Search both studies, as far as the time goes."""
    run_searches(given, {name: overrides(given, objectives) for name, objectives in STUDIES.items()})


def choices(given: argparse.Namespace) -> dict[str, Choice]:
    """What each study proposes within the budget."""
    plain, robust = (open_results(storage(given), name) for name in STUDIES)
    first = Choice(limits=Limits(max_macs=BUDGET))
    point = choose_design(plain, first).point
    assert point is not None
    floor = point.accuracy - given.drop
    most = most_robust(robust, floor)
    held = {"max_macs": BUDGET, "min_accuracy": floor, f"min_{DISTORTED}": most - 1e-9}
    return {"plain": first, "robust": Choice(limits=Limits(**held))}


def most_robust(results: StudyResults, floor: float) -> float:
    """The highest accuracy under distortions within the budget at a pristine accuracy of at least `floor`."""
    items = [item for network in results.networks for item in points_of(network, results.backbone)]
    points: list[OperatingPoint] = [item.point for item in items if item.macs_share <= BUDGET and item.kind != "plain"]
    return max(point.robustness[DISTORTED] for point in points if point.accuracy >= floor)


def run_training(given: argparse.Namespace) -> None:
    """Train what each study proposes."""
    for name, choice in choices(given).items():
        full = (f"full_training.samples={given.full}",)
        report = train(storage(given), name=name, choice=choice, out=given.out / name, device="cpu", overrides=full)
        print(f"{name}: {report.network}, {report.reported.accuracy:.4f}, {dict(report.reported.robustness)}")
    print("done")


def summarise(given: argparse.Namespace) -> None:
    """Write a row for each network and context, and print the means."""
    reports = {name: RunReport.read(given.out / name) for name in STUDIES}
    with given.csv.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("study", "network", "context", "samples", "accuracy", "macs_share", "backbone"))
        for name, report in reports.items():
            for each in () if report.contexts is None else report.contexts.common:
                share = each.macs / report.backbone.macs
                row = (f"{each.accuracy:.4f}", f"{share:.4f}", f"{each.backbone_accuracy:.4f}")
                writer.writerow((name, report.network, each.context, each.samples, *row))
    for name, report in reports.items():
        point, macs = report.reported, report.backbone.macs
        figures = {"pristine": point.accuracy, **point.robustness, "macs_share": point.expected["macs"] / macs}
        print(json.dumps({"study": name, "network": report.network, **figures}))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("search", "train", "summary"))
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8000, help="training samples of a trial")
    parser.add_argument("--full", type=int, default=60000, help="training samples of a chosen network")
    parser.add_argument("--draw", choices=tuple(DRAWN), default="nothing", help="more that trials draw")
    parser.add_argument("--drop", type=float, default=0.005, help="accuracy that may be lost for robustness")
    parser.add_argument("--held-out", type=int, default=2500, help="images of calibration and of validation")
    parser.add_argument("--minutes", type=float, default=5.0, help="the time for this piece of the search")
    parser.add_argument("--out", type=Path, required=True, help="the folder of databases and runs")
    parser.add_argument("--csv", type=Path, default=Path("robust_search.csv"))
    return parser.parse_args()


def main() -> None:
    """Run one step."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    {"search": search_both, "train": run_training, "summary": summarise}[given.step](given)


if __name__ == "__main__":
    main()
