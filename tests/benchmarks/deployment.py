"""What an exported model gains in milliseconds, beside what its MACs promise.

    python tests/benchmarks/deployment.py MODEL --study cifar_resnet20 --out deployment.csv

MODEL is a folder of `eenas export --format onnx`. On the test split the exported model in onnxruntime runs against its
plain backbone in onnxruntime and in eager torch, and against earlyon with the same exits, weights and thresholds where
that is installed (`pip install --no-deps earlyon==0.3.0`, MIT; what its other needs are for is not used here). The
programs take turns, batch by batch, in one process with --threads threads each.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import Rows
from numpy.typing import NDArray
from rivals import (
    BRANCHES,
    EARLYON,
    EENAS,
    NEVER,
    ONNX,
    SINGLY,
    Answer,
    Batch,
    Rival,
    branches_rival,
    eager_rival,
    earlyon_rivals,
    eenas_rival,
    onnx_rival,
    plain_network,
)

import eenas
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import batches
from eenas.policies import costs as named_costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy
from eenas.policies.scores import branch_scores
from eenas.programs.manifest import read_table
from eenas.programs.runtime import ExportedModel
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.load import load_task

WARM_UP = 5


def main() -> None:
    """Measure every budget at every batch size, and add the rows to the CSV."""
    given = arguments()
    torch.set_num_threads(given.threads)
    network = eenas.load(given.model)
    model = eenas.runtime.load(given.model, threads=given.threads)
    never = eenas.runtime.load(given.model, threads=given.threads)
    settings, home = load_settings(given.study, task=given.task, backbone=network.design.backbone)
    test = load_task(settings.task, relative_to=home).test
    if given.samples is not None:
        test = test.subset(np.arange(min(given.samples, len(test))))
    images = torch.cat(list(batches(network, test, 256, torch.device("cpu")))).contiguous().numpy()
    plain = plain_network(network)
    rows = Rows(given.out, ("model", "budget", "batch", "program"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rivals = [onnx_rival(plain, folder, given.threads), eager_rival(plain)]
        costs, labels = Costs(read_table(given.model)["measured"]), np.asarray(test.labels)
        for name in given.budgets:
            if name.startswith("~"):
                model.set_policy(spending(model, images, costs, float(name[1:])))
            elif name != "fitted":
                model.set_budget(macs=float(name))
            assert model.policy is not None
            never.set_policy(model.policy)
            never.set_thresholds(None)
            fixed = [eenas_rival(model), *rivals, eenas_rival(never, NEVER), *other_tools(network, plain, model.policy)]
            for batch in given.batches:
                runs = [*fixed, branches_rival(model, images[:batch], folder, given.threads)]
                if batch == 1:  # where one by one is how earlyon takes it
                    runs = [rival for rival in runs if rival.name != EARLYON]
                for row in table(measure(runs, images, batch, given.rounds), labels, batch, costs):
                    where = {"model": given.name or given.model.name, "budget": name, "batch": batch}
                    rows.add({**where, **row, "threads": given.threads, "machine": given.machine})


class Costs:
    """What leaving at each exit costs in MACs, and what the plain backbone costs, as the manifest has them."""

    def __init__(self, measured: dict[str, Any]) -> None:
        self.exits = np.array([exit_["macs"] for exit_ in measured["exits"]], dtype=np.float64)
        self.plain = float(measured["backbone"]["macs"])

    def mean(self, rival: Rival, exits: NDArray[np.int64]) -> float:
        """Of samples that left there: what a program without exits computes is the plain backbone."""
        return self.plain if rival.name == rival.over else float(self.exits[exits].mean())


@dataclass(frozen=True)
class Run:
    """What a program answered to the images, and how many milliseconds each batch took."""

    rival: Rival
    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    milliseconds: NDArray[np.float64]


def spending(model: ExportedModel, images: Batch, costs: Costs, share: float) -> Policy:
    """The model's policy with that common threshold at which the images spend the nearest to a share of the MACs."""
    parts = [np.stack(model.logits(images[start : start + 64]), axis=1) for start in range(0, len(images), 64)]
    logits = np.concatenate(parts)
    exits = ExitTable(
        logits=logits,
        labels=np.zeros(len(logits), dtype=np.int64),
        exits=model.exits,
        costs=named_costs.Costs.of(macs=costs.exits),
    )
    assert isinstance(model.policy, ThresholdPolicy)
    temperatures = model.policy.temperatures
    scores = np.unique(branch_scores(logits, temperatures, model.policy.score))
    limits = np.quantile(scores, np.linspace(0, 1, 400), method="nearest")
    found = [replace(model.policy, thresholds=(float(limit),) * len(model.exits[1:])) for limit in limits]
    means = [float(costs.exits[policy.apply(exits).exit_index].mean()) / costs.plain for policy in found]
    return found[int(np.argmin(np.abs(np.array(means) - share)))]


def other_tools(network: EarlyExitNetwork, plain: EarlyExitNetwork, policy: Policy) -> tuple[Rival, ...]:
    """earlyon, where it is installed and has what the network needs; says so where not."""
    try:
        assert isinstance(policy, ThresholdPolicy), f"earlyon does not decide by {policy.kind}"
        return earlyon_rivals(network, plain, policy)
    except (ImportError, ValueError, AssertionError) as reason:
        print(f"without earlyon: {reason}")
        return ()


def measure(runs: Sequence[Rival], images: Batch, batch: int, rounds: int) -> list[Run]:
    """Every program over the whole batches of the images, in turn, the first one another each time.

    A batch takes the median of its rounds: what else the machine did at that moment is not the program's.
    """
    parts = [images[start : start + batch] for start in range(0, len(images) - batch + 1, batch)]
    times = np.zeros((len(runs), rounds, len(parts)))
    answers: list[list[Answer]] = [[] for _ in runs]
    for part in parts[:WARM_UP]:
        for rival in runs:
            rival.run(part)
    gc.collect()
    gc.disable()
    for turn in range(rounds * len(parts)):
        number, place = divmod(turn, len(parts))
        for offset in range(len(runs)):
            index = (offset + turn) % len(runs)
            began = time.perf_counter()
            answer = runs[index].run(parts[place])
            times[index, number, place] = time.perf_counter() - began
            if number == 0:
                answers[index].append(answer)
    gc.enable()
    return [
        Run(
            rival,
            np.concatenate([classes for classes, _ in answers[index]]),
            np.concatenate([exits for _, exits in answers[index]]),
            1e3 * np.median(times[index], axis=0),
        )
        for index, rival in enumerate(runs)
    ]


def table(runs: Sequence[Run], labels: NDArray[np.int64], batch: int, costs: Costs) -> Iterator[dict[str, object]]:
    """A row for each program; see the columns in the README."""
    by_name = {run.rival.name: run for run in runs}
    means = {name: float(run.milliseconds.mean()) for name, run in by_name.items()}
    own = by_name[EENAS]
    for name, run in by_name.items():
        if name == BRANCHES:
            continue
        total = len(run.classes)
        macs = costs.mean(run.rival, run.exits)
        speed_up, promised = means[run.rival.over] / means[name], costs.plain / macs
        differing = int(((run.classes != own.classes) | (run.exits != own.exits)).sum())
        yield {
            "program": name,
            "samples": total,
            "accuracy": f"{(run.classes == labels[:total]).mean():.4f}",
            "macs_share": f"{macs / costs.plain:.4f}",
            "mean_ms": f"{means[name]:.4f}",
            "median_ms": f"{np.median(run.milliseconds):.4f}",
            "p95_ms": f"{np.quantile(run.milliseconds, 0.95):.4f}",
            "worst_ms": f"{run.milliseconds.max():.4f}",
            "samples_per_second": f"{1e3 * batch / means[name]:.0f}",
            "speed_up": f"{speed_up:.3f}",
            "promised": f"{promised:.3f}",
            "kept": f"{speed_up / promised:.3f}",
            "decided_otherwise": differing if name in (EARLYON, SINGLY) else "",
            "overhead": f"{means[NEVER] / (means[ONNX] + means[BRANCHES]) - 1:.4f}" if name == NEVER else "",
        }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder of `eenas export --format onnx`")
    parser.add_argument("--task", help="digits, npz:PATH, folder:PATH (default: the study's)")
    parser.add_argument("--study", default="digits", help="the study whose splits they are (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV to which rows are added")
    parser.add_argument("--name", help="what the rows call the model (default: its folder)")
    parser.add_argument(
        "--budgets",
        nargs="*",
        default=["fitted"],
        help="'fitted', a share of the backbone's MACs (the manifest's point within it), or ~0.5: one threshold so "
        "high that the samples spend about half of the MACs, which a fit may never choose",
    )
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--threads", type=int, default=1, help="of every program (default: %(default)s)")
    parser.add_argument("--samples", type=int, help="only the first so many of the test split")
    parser.add_argument("--rounds", type=int, default=3, help="how often each batch is run (default: %(default)s)")
    parser.add_argument("--machine", default="", help="what the rows say they ran on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
