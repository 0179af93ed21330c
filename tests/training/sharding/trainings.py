"""Small trainings in one process or under torchrun, whose weights the tests compare; run as a program, one of them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.designs.training_choice import TrainingChoice
from eenas.networks.assembly import build_network
from eenas.networks.network import EarlyExitNetwork
from eenas.tasks.images.image_input import image_input
from eenas.testing.smallest import smallest_task
from eenas.training.checkpoints import Checkpoint
from eenas.training.execution import Execution
from eenas.training.process_group import ProcessGroup, open_process_group
from eenas.training.sharding.division import divided_group
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import RoundReport, Verdict, train_network

ROOT = Path(__file__).parents[3]


def network_of(choice: TrainingChoice) -> EarlyExitNetwork:
    """A network without batch normalisation, so its samples do not influence each other, and with an odd width."""

    def block(channels: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1), nn.GELU())

    torch.manual_seed(0)
    module = nn.Sequential(
        *(block(3, 7, 1), block(7, 16, 2), block(16, 16, 1), block(16, 32, 2)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4)),
    )
    backbone = load_backbone(module, num_classes=4, input_size=8)
    placed = (Placed(backbone.cut_points[1].name, PoolFc(pool="avg", size=2)),)
    design = Design(backbone="own", num_classes=4, inputs=image_input(8), branches=placed, training=choice)
    return build_network(design, backbone, seed=0)


def train(
    group: ProcessGroup,
    choice: dict[str, object],
    *,
    path: Path | None = None,
    stop: int | None = None,
    kill: int | None = None,
    **spec: object,
) -> dict[str, object]:
    """Train by a choice and a spec. `stop` ends it after a round; `kill` ends process 1 of the first start at one."""
    training = TrainingChoice(**{"learning_rate": 0.05, **choice})  # type: ignore[arg-type]
    whole = TrainingSpec(**{"epochs": 2, "batch_size": 16, "augment": False, **spec})  # type: ignore[arg-type]
    network = network_of(training)
    notices: list[object] = []
    group = divided_group(group, whole, network, training, notices.append)
    plan = TrainingPlan(choice=training, spec=whole, costs=[1.0, 2.0], seed=1, execution=Execution())

    def after(report: RoundReport) -> Verdict:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if kill == report.round and group.rank == 1 and first:
            os.kill(os.getpid(), signal.SIGKILL)
        return Verdict.STOP if stop == report.round else Verdict.CONTINUE

    checkpoint = None if path is None else Checkpoint(path)
    resumed = path is not None and path.exists()
    report = train_network(network, smallest_task(), plan, after_epoch=after, checkpoint=checkpoint, group=group)
    return {
        "weights": [each.flatten().tolist() for each in network.parameters()],
        "losses": report.losses,
        "samples": report.samples,
        "sharded": group.sharded,
        "notices": [str(each) for each in notices],
        "resumed": resumed,
        "restarts": int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
    }


def under_torchrun(folder: Path, trainings: list[dict[str, object]], processes: int = 2, *options: str) -> list[list]:
    """What each process found in each of the trainings, [trainings][processes]."""
    folder.mkdir(exist_ok=True)
    (folder / "trainings.json").write_text(json.dumps(trainings))
    torchrun = [sys.executable, "-m", "torch.distributed.run", *(options or ("--standalone",))]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", str(processes), __file__, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    return [list(each) for each in zip(*found, strict=True)]


if __name__ == "__main__":
    where = Path(sys.argv[1])
    with open_process_group("cpu") as processes:
        results = []
        for each in json.loads((where / "trainings.json").read_text()):
            place = each.pop("path", None)
            results.append(train(processes, each.pop("choice"), path=None if place is None else Path(place), **each))
        (where / f"{processes.rank}.json").write_text(json.dumps(results))
