"""What experts for distorted images are worth: three kinds at five severities on a frozen ResNet-20, in pieces.

    python tests/benchmarks/experts.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out experts.csv

Three arms have the same exits and the same training after a common start on clean images: `pristine` goes on with clean
images, `everything` has one set of exits for all kinds, and `experts` has one for each kind, each with a share of the
samples; the rivals train in as many rounds as there are experts. Thresholds come from calibration (clean for
`pristine`, all kinds for the others), accuracy from test. Each row is one arm on one kind and severity, with the
accuracy at equal mean MACs: points of the arm's curve, interpolated. The MACs of the classifier and its mistakes count.
`informed` are experts chosen without mistakes; `per_kind` and `per_kind_tuned` are experts with their own batch
normalisation in the backbone, its statistics alone or its scales and shifts as well. Each call takes a few minutes and
keeps its pieces beside the CSV; call it again until it says that all is done.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from cifar import Rows, context, design_of, train
from numpy.typing import NDArray
from torch import nn

from eenas.branches.conv_fc import ConvFc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed, TrainingChoice
from eenas.frozen.experts.expert_building import BatchNorm, ExpertSpec, add_expert, final_layer_of, scale_of
from eenas.frozen.experts.expert_training import ExpertTraining, train_expert
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.expert_tables import confusion, costs_with_classifier
from eenas.networks.experts.own_norms import norm_state
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.expert_fit import ExpertFitting
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import OperatingPoint
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext
from eenas.tasks.distortions.distortion import distort
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.recognition.classifier_fit import fit_distortion_classifier
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier
from eenas.tasks.recognition.distortion_mix import PRISTINE, DistortionMix

KINDS = ("gaussian_blur", "gaussian_noise", "contrast")
SETS = (PRISTINE, *KINDS, "continued", "everything")
"""The sets of exits: those of the start, one for each kind, and the two rivals."""
OWN_NORMS: tuple[BatchNorm, ...] = ("per_kind", "per_kind_tuned")
PLACED = (
    Placed("layer1.1", ConvFc(width=32)),
    Placed("layer2.0", ConvFc(width=32)),
    Placed("layer3.0", PoolFc(pool="mixed")),
)
SHARES = (0.5, 0.75, 1.0)
CELLS = (("clean", 0), *((kind, severity) for kind in KINDS for severity in SEVERITIES))
_BATCH = 250


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--start", type=int, default=150_000, help="training samples of the common start")
    parser.add_argument("--samples", type=int, default=20_000, help="training samples of one expert")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0")
    parser.add_argument("--minutes", type=float, default=4.0, help="begin no further piece after so many minutes")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; rows that it has are not made again")
    return parser.parse_args()


class Pieces:
    """The files of one seed beside the CSV: the start, each further set of exits, and the logits of each split."""

    def __init__(self, given: argparse.Namespace, on: StudyContext, seed: int) -> None:
        self.given, self.on, self.seed = given, on, seed
        self._complete: list[tuple[ExpertNetwork, list[nn.Module]]] = []
        self._adapted: dict[BatchNorm, ExpertNetwork] = {}
        training = TrainingChoice(strategy="two_stage", optimizer="adamw", learning_rate=1e-3)
        self.design = design_of(on, PLACED, training)

    def path(self, name: str) -> Path:
        """The file of a piece."""
        return Path(self.given.out.with_suffix(f".{self.seed}.{name}"))

    def missing(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """The pieces that have no file, in order."""
        steps: list[tuple[str, Callable[[], None]]] = [("start", self.begin)]
        steps += [(name, lambda name=name: self.fine_tune(name, name)) for name in KINDS]  # type: ignore[misc]
        for rival in SETS[1 + len(KINDS) :]:  # in as many rounds as there are experts, each from the one before
            rounds = [f"{rival}.{number}" for number in range(1, len(KINDS) + 1)]
            steps += [
                (name, lambda rival=rival, name=name, before=before: self.fine_tune(rival, name, before))  # type: ignore[misc]
                for before, name in pairwise(("", *rounds))
            ]
        for split, cell in product(("calibration", "test"), range(len(CELLS))):
            steps.append((f"{split}.{cell}", lambda split=split, cell=cell: self.answer(split, cell)))  # type: ignore[misc]
        for norms in OWN_NORMS:
            for kind in KINDS:
                steps.append((f"{kind}.{norms}", lambda kind=kind, norms=norms: self.adapt(kind, norms)))  # type: ignore[misc]
            for split, cell in product(("calibration", "test"), range(len(CELLS))):
                steps.append(
                    (
                        f"{split}.{cell}.{norms}",
                        lambda split=split, cell=cell, norms=norms: self.answer_adapted(split, cell, norms),  # type: ignore[misc]
                    )
                )
        yield from ((name, run) for name, run in steps if not self.path(name).exists())

    def write(self, module: nn.Module, name: str) -> None:
        """Write the weights of a piece."""
        state = {key: value.contiguous() for key, value in module.state_dict().items()}
        safetensors.torch.save_file(state, self.path(name))

    def begin(self) -> None:
        """Train the exits of the start on clean images."""
        network = train(self.on, self.design, samples=self.given.start, seed=self.seed)
        self.write(network, "start")

    def base(self) -> EarlyExitNetwork:
        """The network of the start."""
        network = self.on.build(self.design)
        network.load_state_dict(safetensors.torch.load_file(self.path("start")))
        return network.eval()

    def experts(self, base: EarlyExitNetwork, *, own_norms: bool = False) -> ExpertNetwork:
        """The network with an untrained expert for each kind."""
        classifier = fit_distortion_classifier(self.on.task.train, scale_of(base.transform), KINDS, seed=self.seed)
        return ExpertNetwork(base, classifier, final_layer=final_layer_of(base), own_norms=own_norms)

    def adapt(self, kind: str, norms: BatchNorm) -> None:
        """Train the expert of a kind with its own batch normalisation, from the start on."""
        network, number = self.experts(self.base(), own_norms=True), SETS.index(kind)
        spec = ExpertSpec(kinds=KINDS, training=ExpertTraining(samples=self.given.samples), batch_norm=norms)
        add_expert(network, number, self.on.task, spec, seed=derive(self.seed, kind))
        own = {f"norms.{key}": value for key, value in norm_state(network.body_of(number)).items()}
        exits = {f"exits.{key}": value for key, value in network.expert(number).state_dict().items()}
        state = {key: value.contiguous() for key, value in {**own, **exits}.items()}
        safetensors.torch.save_file(state, self.path(f"{kind}.{norms}"))

    def adapted(self, norms: BatchNorm) -> ExpertNetwork:
        """The network whose experts have their own batch normalisation."""
        if norms not in self._adapted:
            network = self.experts(self.base(), own_norms=True)
            for kind in KINDS:
                state, number = safetensors.torch.load_file(self.path(f"{kind}.{norms}")), SETS.index(kind)
                parts = [
                    {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
                    for part in ("norms", "exits")
                ]
                body = network.body_of(number)
                body.load_state_dict({**body.state_dict(), **parts[0]})
                network.expert(number).load_state_dict(parts[1])
            self._adapted[norms] = network.eval()
        return self._adapted[norms]

    def answer_adapted(self, split: str, cell: int, norms: BatchNorm) -> None:
        """Write the logits of each image's expert on one kind and severity, as the classifier chooses it."""
        with np.load(self.path(f"{split}.{cell}")) as stored:
            logits, chosen = stored["logits"][0], stored["chosen"]
        network = self.adapted(norms)
        for batch, x in enumerate(self.inputs(network, split, cell)):
            own = chosen[batch * _BATCH :][: len(x)]
            for number in set(own.tolist()) - {0}:
                rows = np.flatnonzero(own == number)
                with torch.inference_mode():
                    found = network.expert_logits(number, network.features(x[torch.from_numpy(rows)], number))
                logits[batch * _BATCH + rows] = torch.stack(found, dim=1).numpy().astype(np.float16)
        part = self.path("part.npz")
        np.savez(part, logits=logits)
        part.replace(self.path(f"{split}.{cell}.{norms}"))

    def inputs(self, network: ExpertNetwork, split: str, cell: int) -> Iterator[torch.Tensor]:
        """Batches of the images of a split with one kind and severity, transformed."""
        source = self.on.task.split(split).reader(network.transform.inputs)
        rows, (kind, severity) = np.arange(len(self.on.task.split(split))), CELLS[cell]
        generator = np.random.default_rng((self.seed, cell))
        for start in range(0, len(rows), _BATCH):
            images = source[rows[start : start + _BATCH]].numpy()
            if severity:
                images = distort(images, kind, severity, generator)
            yield network.transform(torch.from_numpy(images))

    def fine_tune(self, exits: str, name: str, before: str = "") -> None:
        """Train one set of `exits`, from the start or from the piece `before` on, and write it as the piece `name`."""
        network = self.experts(self.base())
        number = SETS.index(exits) if exits in KINDS else 0
        if before:
            network.expert(number).load_state_dict(safetensors.torch.load_file(self.path(before)))
        mix = None if exits == "continued" else DistortionMix(kinds=KINDS if exits == "everything" else (exits,))
        training, task = ExpertTraining(samples=self.given.samples), self.on.task
        seed = derive(self.seed, name)
        train_expert(network, number, task.train, mix, training, flip=task.flip, seed=seed)
        self.write(network.expert(number), name)

    def answer(self, split: str, cell: int) -> None:
        """Write the logits of all sets of exits on one kind and severity, and the classifier's choices."""
        network, sets = self.complete()
        logits, chosen = [], []
        for x in self.inputs(network, split, cell):
            chosen.append(network.choose(x))
            features, found = network.features(x), []
            with torch.inference_mode():
                for exits in sets:
                    network.experts[0] = exits
                    found.append(torch.stack(network.expert_logits(0, features), dim=1).numpy())
            logits.append(np.stack(found).astype(np.float16))
        part = self.path("part.npz")
        np.savez(part, logits=np.concatenate(logits, axis=1), chosen=np.concatenate(chosen))
        part.replace(self.path(f"{split}.{cell}"))

    def complete(self) -> tuple[ExpertNetwork, list[nn.Module]]:
        """The network, and all trained sets of exits in the order of SETS."""
        if not self._complete:
            network, base = self.experts(self.base()), self.base()
            sets: list[nn.Module] = [network.expert(0)]
            for name in SETS[1:]:
                exits = ExpertNetwork(base, network.classifier, final_layer=network.final_layer).expert(0)
                last = name if name in KINDS else f"{name}.{len(KINDS)}"
                exits.load_state_dict(safetensors.torch.load_file(self.path(last)))
                sets.append(exits.eval())
            self._complete.append((network, sets))
        return self._complete[0]


class Answers:
    """The exit tables of one split: every arm on every kind and severity."""

    def __init__(self, pieces: Pieces, split: str, classifier: DistortionClassifier) -> None:
        logits, chosen = [], []
        self.adapted: dict[BatchNorm, NDArray[np.float32]] = {}
        for norms in OWN_NORMS:
            parts = []
            for cell in range(len(CELLS)):
                with np.load(pieces.path(f"{split}.{cell}.{norms}")) as stored:
                    parts.append(stored["logits"].astype(np.float32))
            self.adapted[norms] = np.stack(parts)
        for cell in range(len(CELLS)):
            with np.load(pieces.path(f"{split}.{cell}")) as stored:
                logits.append(stored["logits"].astype(np.float32))
                chosen.append(stored["chosen"])
        self.logits: NDArray[np.float32] = np.stack(logits, axis=1)
        self.chosen: NDArray[np.int64] = np.stack(chosen)
        self.labels = pieces.on.task.split(split).labels
        self.exits = pieces.base().exits
        self.plain = pieces.on.costs(pieces.design)
        self.routed = costs_with_classifier(self.plain, classifier.macs)

    def one(self, name: str, cells: list[int]) -> ExitTable:
        """The table of one set of exits on some cells."""
        found = self.logits[SETS.index(name)][cells]
        return ExitTable(
            logits=found.reshape(-1, *found.shape[2:]),
            labels=np.tile(self.labels, len(cells)),
            exits=self.exits,
            costs=self.plain.costs,
        )

    def experts(self, cells: list[int], *, informed: bool = False, norms: BatchNorm = "shared") -> RoutedTable:
        """The table of the experts on some cells."""
        truth = np.array([0 if not severity else 1 + KINDS.index(kind) for kind, severity in CELLS])
        rows = len(self.labels)
        chosen = np.repeat(truth[cells], rows) if informed else self.chosen[cells].reshape(-1)
        found = self.logits[:, cells]
        found = found.reshape(len(SETS), -1, *found.shape[3:])
        own = found[chosen, np.arange(len(chosen))]
        if norms != "shared":
            own = self.adapted[norms][cells].reshape(own.shape)
        return RoutedTable(
            logits=own,
            labels=np.tile(self.labels, len(cells)),
            exits=self.exits,
            costs=self.routed.costs,
            chosen=chosen,
        )


def report(pieces: Pieces, rows: Rows) -> None:
    """Write a row for every arm, kind and severity."""
    classifier = pieces.experts(pieces.base()).classifier
    calibration, test = (Answers(pieces, split, classifier) for split in ("calibration", "test"))
    # clean pictures are as frequent as those of one kind
    everywhere = [0] * len(SEVERITIES) + list(range(1, len(CELLS)))
    points: dict[str, Callable[[int], tuple[OperatingPoint, ...]]] = {}
    tables: dict[str, Callable[[int], ExitTable]] = {}
    for arm, name, cells in (("pristine", "continued", [0]), ("everything", "everything", everywhere)):
        fitting = Fitting(calibration.one(name, cells))
        tables[arm] = lambda cell, name=name: test.one(name, [cell])  # type: ignore[misc]
        points[arm] = lambda cell, arm=arm, fitting=fitting: fitting.operating_points(tables[arm](cell))  # type: ignore[misc]
    for arm, informed in (("experts", False), ("informed", True)):
        own = ExpertFitting.on(calibration.experts(everywhere, informed=informed), (PRISTINE, *KINDS))
        tables[arm] = lambda cell, informed=informed: test.experts([cell], informed=informed)  # type: ignore[misc]
        points[arm] = lambda cell, arm=arm, own=own: own.operating_points(tables[arm](cell))  # type: ignore[misc]
    for norms in OWN_NORMS:
        own = ExpertFitting.on(calibration.experts(everywhere, norms=norms), (PRISTINE, *KINDS))
        tables[norms] = lambda cell, norms=norms: test.experts([cell], norms=norms)  # type: ignore[misc]
        points[norms] = lambda cell, norms=norms, own=own: own.operating_points(tables[norms](cell))  # type: ignore[misc]
    whole = float(pieces.on.profile.total_macs)
    for arm, of in points.items():
        for cell, (kind, severity) in enumerate(CELLS):
            found = of(cell)
            macs, right = ([get(point) for point in found] for get in (_macs, _accuracy))
            order = np.argsort(macs)
            at = np.interp(np.array(SHARES) * whole, np.array(macs)[order], np.array(right)[order])
            row: dict[str, object] = {"arm": arm, "kind": kind, "severity": severity, "seed": pieces.seed}
            row |= {f"at_{share:.0%}": f"{value:.4f}" for share, value in zip(SHARES, at, strict=True)}
            row["exits"] = " ".join(f"{value:.4f}" for value in tables[arm](cell).exit_accuracy())
            share = np.bincount(test.chosen[cell], minlength=len(KINDS) + 1) / len(test.labels)
            row["chosen"] = " ".join(f"{value:.4f}" for value in share) if arm == "experts" else ""
            row["samples"] = pieces.given.samples
            rows.add(row)
    contexts = np.repeat([f"{kind}:{severity}" if severity else kind for kind, severity in CELLS], len(test.labels))
    print(f"classifier: {classifier.macs:,} MACs; chosen (rows: true kind), all severities alike:")
    print(confusion(test.chosen.reshape(-1), contexts, classifier.kinds))


def _macs(point: OperatingPoint) -> float:
    return point.expected[MACS]


def _accuracy(point: OperatingPoint) -> float:
    return point.accuracy


def main() -> None:
    """Do the next pieces, and write the rows of the seeds that have all of them."""
    given = arguments()
    rows, end = Rows(given.out, ("seed", "samples")), time.monotonic() + 60 * given.minutes
    on = context(given)
    for seed, _ in list(dict.fromkeys(rows.missing((seed, given.samples) for seed in range(given.seeds)))):
        pieces = Pieces(given, on, int(str(seed)))
        for name, run in list(pieces.missing()):
            if time.monotonic() > end:
                print(f"seed {seed}: the next piece is {name}; call again")
                return
            run()
            print(f"seed {seed}: {name} is done", flush=True)
        report(pieces, rows)
    print("all is done")


if __name__ == "__main__":
    main()
