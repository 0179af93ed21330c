"""What the branch bank buys: hypervolume against training samples and wall time, on ResNet-20 and CIFAR-10.

    python tests/benchmarks/bank.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out bank.csv
    python tests/benchmarks/bank.py --study digits --samples 1216 --out bank_digits.csv   # ResNet-50, trained first

Arms: the study with the bank, the same with --no-bank, random search with neither, a second study on the first one's
storage under another sampler (it inherits the bank), the front of the frozen backbone alone, and placement by hand
(uniform 1 to 6, SDN's six). Each row is the state after one trial: samples seen and seconds gone so far, with all that
came before the first trial but the training of a backbone, and the hypervolume (accuracy over relative MACs,
validation) of all points so far. Arms that the CSV has are not run again. Seconds mean something only on a machine that
does nothing else; the processor seconds beside them, of all threads, suffer less from what else runs.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from cifar import Rows

from eenas.designs.known import known_designs
from eenas.fronts.hypervolume import hypervolume
from eenas.policies.operating_point import OperatingPoint
from eenas.progress import Event, Finished, Started
from eenas.records.learning_curves import LearningCurves
from eenas.results.search import search
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.bank import PHASE
from eenas.study.context.study_context import make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.trial import run_trial

SEARCHES = {
    "bank": (),
    "no bank": ("bank.use=false",),
    "random": ("bank.use=false", "search.sampler=random", "search.known_designs=false"),
    "second study": ("search.sampler=nsgaii",),
}
HAND = "by hand"
CIFAR = "cifar_resnet20"
PREPARED = "training the backbone"


def run_search(arm: str, seed: int, given: argparse.Namespace, rows: Rows) -> None:
    """One study of `given.trials` trials, in a storage of its own; the second study goes to the first one's."""
    folder = given.out.with_suffix("") / f"{'bank' if arm == 'second study' else arm.replace(' ', '_')}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    fills: list[float] = []
    clocks: list[tuple[float, float]] = []

    def listener(event: Event) -> None:
        if isinstance(event, Finished) and event.phase == PREPARED:
            clocks.clear()
        clocks.append((time.time(), time.process_time()))
        if isinstance(event, Started) and event.phase == PHASE:
            fills.append(time.time())

    def spent(until: float) -> dict[str, int]:
        walls, processors = zip(*clocks, strict=True)
        worked = float(np.interp(until, walls, processors)) - clocks[0][1]
        return {"seconds": round(until - clocks[0][0]), "processor_seconds": round(worked)}

    clocks.append((time.time(), time.process_time()))
    results = search(
        task=task(given),
        study=given.study,
        weights=weights(given),
        trials=given.trials,
        seed=seed,
        storage=f"sqlite:///{folder}/eenas.db",
        device="cpu",
        listener=listener,
        name=arm.replace(" ", "-"),
        overrides=(f"training.samples={given.samples}", "search.timeout=100000", *SEARCHES[arm]),
    )
    study = optuna.load_study(study_name=results.name, storage=f"sqlite:///{folder}/eenas.db")
    ended = {t.number: t.datetime_complete.timestamp() for t in study.trials if t.datetime_complete is not None}
    first = min(t.datetime_start.timestamp() for t in study.trials if t.datetime_start is not None)
    clocks.append((time.time(), time.process_time()))
    before = given.samples * sum(at < first for at in fills)
    total, classes = results.backbone.macs, len(results.classes)
    if arm == "bank":
        frozen = [point for network in results.networks if network.kind == "frozen" for point in network.points]
        then = {"trial": 0, "samples": before, **spent(first)}
        rows.add({"arm": "frozen search", "seed": seed, **then, **scores(frozen, total, classes), "origin": ""})
    points: list[OperatingPoint] = []
    for trial in results.trials:
        before += trial.samples
        points += trial.points
        then = {"trial": trial.number + 1, "samples": before, **spent(ended[trial.number])}
        rows.add({"arm": arm, "seed": seed, **then, **scores(points, total, classes), "origin": trial.origin})


def run_hand(seed: int, given: argparse.Namespace, rows: Rows) -> None:
    """The designs that nobody searched for, trained as a study without a bank trains its trials."""
    settings, folder = load_settings(
        given.study,
        task=task(given),
        weights=weights(given),
        seed=seed,
        overrides=(f"training.samples={given.samples}", "search.prune=false"),
    )
    place = given.out.with_suffix("") / f"hand_{seed}"
    place.mkdir(parents=True, exist_ok=True)
    context = make_context(settings, StudyReference(storage=f"sqlite:///{place}/eenas.db"), device="cpu", folder=folder)
    context = prepare_backbone(context)
    start, worked = time.time(), time.process_time()
    designs = known_designs(settings.space, context.profiled_backbone, uniform_counts=range(1, 7))
    samples, found = 0, []
    points: list[OperatingPoint] = []
    rule = PruningRule(LearningCurves(context.database), HAND)
    for number, (name, design) in enumerate(designs, start=1):
        outcome = run_trial(design, context, rule, study=HAND, number=number)
        assert outcome.scores is not None
        samples += outcome.record.samples
        points += outcome.scores.points
        spent = {"seconds": round(time.time() - start), "processor_seconds": round(time.process_time() - worked)}
        then = {"trial": number, "samples": samples, **spent}
        worth = scores(points, context.profile.total_macs, context.backbone.num_classes)
        found.append({"arm": HAND, "seed": seed, **then, **worth, "origin": name})
    for row in found:  # all at once: an arm is there or it is not
        rows.add(row)


def task(given: argparse.Namespace) -> str | None:
    """The data of the study on CIFAR-10; other studies bring their own."""
    return f"npz:{given.data}" if given.study == CIFAR else None


def weights(given: argparse.Namespace) -> str | None:
    """The weights of the study on CIFAR-10; other studies name theirs."""
    return str(given.weights) if given.study == CIFAR else None


def scores(points: Sequence[OperatingPoint], total: float, classes: int) -> dict[str, object]:
    """The columns of a row that say how good all `points` together are."""
    accuracy, macs = [p.accuracy for p in points], [p.expected["macs"] / total for p in points]
    area = hypervolume(accuracy, macs, reference_cost=1.1, reference_accuracy=1.0 / classes)
    found: dict[str, object] = {"hypervolume": f"{area:.5f}"}
    for share in (0.25, 0.5, 0.75, 1.0):
        best = max((a for a, m in zip(accuracy, macs, strict=True) if m <= share + 1e-9), default=0.0)
        found[f"at_{share:.0%}"] = f"{best:.4f}"
    return found


def main() -> None:
    """Run every arm that the CSV has no rows for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default=CIFAR, help="a shipped study or a study file (default: %(default)s)")
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--samples", type=int, default=12_500, help="training samples of a trial")
    parser.add_argument("--trials", type=int, default=16, help="trials of a study")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--arms", nargs="+", choices=(*SEARCHES, HAND), default=(*SEARCHES, HAND), help="default: all")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; arms that it has are not run again")
    given = parser.parse_args()
    rows = Rows(given.out, ("arm", "seed"))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = ((arm, seed) for seed in range(given.seeds) for arm in given.arms)
    for arm, seed in rows.missing(wanted):
        if arm == HAND:
            run_hand(int(str(seed)), given, rows)
        else:
            run_search(str(arm), int(str(seed)), given, rows)


if __name__ == "__main__":
    main()
