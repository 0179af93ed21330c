"""What the benchmarks on CIFAR-10 share: the context of the study `cifar_resnet20`, and a CSV that is gone on with."""

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.policies.exit_table import ExitTable
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network

SHARES = (0.25, 0.5, 0.75, 1.0)
SPLITS = ("calibration", "validation", "test")


def arguments(about: str, *, samples: int, arms: Sequence[str] = ()) -> argparse.Namespace:
    """The command line that these scripts have in common; `samples` is the default budget of one arm of `arms`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--samples", type=int, default=samples, help="training samples of one arm")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    if arms:
        parser.add_argument("--arm", action="append", choices=arms, help="run this arm; may be repeated (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; rows that it has are not run again")
    return parser.parse_args()


def context(given: argparse.Namespace) -> StudyContext:
    """The study's context without latencies, in a database beside the CSV."""
    settings, folder = load_settings(
        "cifar_resnet20", task=f"npz:{given.data}", weights=given.weights, overrides=("latency.seconds=0.05",)
    )
    return make_context(
        settings, StudyReference(storage=f"sqlite:///{given.out.with_suffix('.db')}"), device="cpu", folder=folder
    )


def design_of(
    on: StudyContext, branches: Sequence[Placed], training: TrainingChoice, policy: PolicyChoice | None = None
) -> Design:
    """A design on this backbone."""
    return Design(
        backbone=on.backbone.name,
        num_classes=on.backbone.num_classes,
        inputs=on.backbone.transform.inputs,
        branches=tuple(branches),
        training=training,
        policy=policy or PolicyChoice(),
    )


def train(on: StudyContext, design: Design, *, samples: int, seed: int) -> EarlyExitNetwork:
    """The network of `design`, trained with `samples` training samples."""
    network = on.build(design)
    train_network(
        network,
        on.task,
        TrainingPlan(
            choice=design.training,
            spec=TrainingSpec(samples=samples, batch_size=64),
            costs=on.costs(design).costs["macs"].tolist(),
            seed=derive(seed, "benchmark"),
            execution=on.execution,
        ),
    )
    return network


def tables(on: StudyContext, network: EarlyExitNetwork) -> dict[str, ExitTable]:
    """The exit tables of calibration, validation and test."""
    costs = on.costs(network.design)
    return {name: exit_table(network, on.task.split(name), costs) for name in SPLITS}


class Rows:
    """The rows of a CSV file; each is written whole as soon as it is known, and a second run leaves it out."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.path, self.keys = path, tuple(keys)
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def missing(self, wanted: Iterator[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Those of the wanted keys that have no row yet."""
        have = {tuple(row[key] for key in self.keys) for row in self.rows}
        return [key for key in wanted if tuple(str(part) for part in key) not in have]

    def add(self, row: dict[str, object]) -> None:
        """Append a row and print it."""
        self.rows.append({name: str(value) for name, value in row.items()})
        part = self.path.with_suffix(".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(part, self.path)
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
