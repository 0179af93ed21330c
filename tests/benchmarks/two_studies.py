"""Two studies of the same ResNet-20 on CIFAR-10 that differ in a few settings, searched piece by piece."""

import argparse
from collections.abc import Mapping, Sequence

from eenas.errors import TimeOverError
from eenas.results.read import open_results
from eenas.results.search import search


def shared(given: argparse.Namespace) -> list[str]:
    """The settings that all such studies share."""
    return [
        *(f'task.splits.{split}={{source="test", size={given.held_out}}}' for split in ("calibration", "validation")),
        f"search.trials={given.trials}",
        f"training.samples={given.samples}",
        f"full_training.samples={given.full}",
        "bank.earlier=0",
        "bank.branches=12",
        "baselines.static=0",
        f"search.timeout={60 * given.minutes}",
    ]


def storage(given: argparse.Namespace) -> str:
    """The database of both studies."""
    return f"sqlite:///{given.out / 'studies.db'}"


def run_searches(given: argparse.Namespace, studies: Mapping[str, Sequence[str]]) -> None:
    """Search the studies with these overrides by name, as far as the time goes."""
    for name, overrides in studies.items():
        try:
            search(
                study="cifar_resnet20",
                task=f"npz:{given.data}",
                weights=str(given.weights),
                storage=storage(given),
                name=name,
                device="cpu",
                overrides=[*shared(given), *overrides],
            )
        except TimeOverError as error:
            print(f"{name}: {error}")
            return
        found = open_results(storage(given), name)
        if len(found.trials) < given.trials:
            print(f"{name}: {len(found.trials)} of {given.trials} trials")
            return
    print("done")
