"""The processes that train together: alone, and two that torchrun starts on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from eenas.errors import TrainingError
from eenas.training.process_group import ProcessGroup, open_process_group
from eenas.training.sharding import gloo_threads
from eenas.training.sharding.gloo_threads import await_gloo_threads

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from eenas.errors import StudyError, TrainingError
from eenas.backbones.load import load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.tasks.images.image_input import image_input
from eenas.designs.design import Design, Placed
from eenas.designs.training_choice import TrainingChoice
from eenas.networks.assembly import build_network
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network
from eenas.training.process_group import open_process_group
folder = Path(sys.argv[1])
task = smallest_task()
STRATEGIES = [
    {"strategy": "hybrid", "hybrid": "mixed", "weight_average": 0.5, "patience": 1},
    {"strategy": "hybrid", "hybrid": "alternating"},
    {"strategy": "branch_wise"},
    {"strategy": "distillation", "loss_weights": "uncertainty"},
]
torch.manual_seed(0)
backbone = load_backbone(smallest_backbone(4), num_classes=4, input_size=8)
def train(group, values):
    placed = (Placed(backbone.cut_points[1].name, PoolFc(pool="avg", size=2)),)
    training = TrainingChoice(**values)
    design = Design(backbone="own", num_classes=4, inputs=image_input(8), branches=placed, training=training)
    network = build_network(design, backbone)
    before = [value.detach().clone() for value in network.parameters()]
    plan = TrainingPlan(choice=design.training, spec=TrainingSpec(epochs=0.6, batch_size=16), costs=[1.0, 2.0],
                        seed=1, execution=Execution())
    report = train_network(network, task, plan, group=group)
    moved = all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    return {"samples": report.samples, "moved": moved,
            "sums": [float(value.detach().double().sum()) for value in network.parameters()]}
with open_process_group("cpu") as group:
    torch.manual_seed(group.rank)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    extra = nn.Parameter(torch.ones(1))
    model = group.wrap(network, torch.device("cpu"))
    started = [value.tolist() for value in network.parameters()]
    inputs = torch.randn(8, 3)
    (model(inputs).square().mean() * extra * (group.rank + 1)).sum().backward()
    own = float(extra.grad)
    group.average([extra, nn.Parameter(torch.ones(1))])
    gradients = [value.grad.tolist() for value in network.parameters()]
    network.train()(inputs)  # running statistics of its own
    before = network[1].running_mean.tolist()
    group.match(network)
    after = network[1].running_mean.tolist()
    with group.first_alone():
        was_there = (folder / "made").exists()
        (folder / "made").touch()
    failure = ""
    try:
        with group.first_alone():
            if group.rank == 0:
                raise StudyError("the disk is full")
    except (StudyError, TrainingError) as error:
        failure = f"{type(error).__name__}: {error}"
    found = {"rank": group.rank, "size": group.size, "share": group.share(f"from {group.rank}"), "started": started,
             "own": own, "extra": float(extra.grad), "gradients": gradients, "before": before, "after": after,
             "was_there": was_there, "failure": failure, "trained": [train(group, values) for values in STRATEGIES]}
    group.wait()
(folder / f"{found['rank']}.json").write_text(json.dumps(found))
"""

STARVED = """
import os, socket, sys
from pathlib import Path
import torch
from torch import nn
from eenas.training.process_group import open_process_group
def member(rank, port):
    os.environ.update(WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port))
    with open_process_group("cpu") as group:
        module = nn.Linear(3, 4)
        model = group.wrap(module, torch.device("cpu"))
        threads = [task for task in Path("/proc/self/task").iterdir() if "gloo_runloop" in (task / "comm").read_text()]
        os.sched_setscheduler(int(threads[0].name), os.SCHED_IDLE, os.sched_param(0))
        for _ in range(5):
            group.match(module)
    return model  # it keeps the group alive until the interpreter ends
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
parent, busy = os.getpid(), os.fork()
while busy == 0 and os.getppid() == parent:
    pass
if busy == 0:
    os._exit(0)
codes = []
for _ in range(4):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks = []
    for rank in (0, 1):
        ranks.append(os.fork())
        if ranks[-1] == 0:
            kept = member(rank, port)
            sys.exit(0)
    codes += [os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks]
os.kill(busy, 9)
print(*codes)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("group")
    (folder / "script.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = subprocess.run(
        [*torchrun, str(folder / "script.py"), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_each_process_knows_its_place(two):
    assert [(found["rank"], found["size"]) for found in two] == [(0, 2), (1, 2)]
    assert [found["share"] for found in two] == ["from 0", "from 0"]


def test_weights_begin_alike_and_gradients_are_averaged(two):
    first, second = two
    assert first["started"] == second["started"]
    assert first["gradients"] == second["gradients"]
    assert first["own"] != second["own"]
    assert first["extra"] == second["extra"] == pytest.approx((first["own"] + second["own"]) / 2)


def test_running_statistics_are_made_equal(two):
    first, second = two
    assert first["before"] != second["before"]
    assert first["after"] == second["after"] == first["before"]


def test_the_first_process_goes_ahead_and_the_others_fail_with_it(two):
    assert [found["was_there"] for found in two] == [False, True]
    assert two[0]["failure"] == "StudyError: the disk is full"
    assert two[1]["failure"] == "TrainingError: process 0 failed: the disk is full"


def test_strategies_keep_the_weights_of_both_alike(two):
    for first, second in zip(*(found["trained"] for found in two), strict=True):
        assert first == second
        assert first["moved"]
        assert first["samples"] % 16 == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux runs threads when nothing else wants to run")
def test_processes_end_well_even_if_threads_of_gloo_are_late():
    """Without the wait for these threads, most of the processes abort on their way out."""
    done = subprocess.run(
        [sys.executable, "-c", STARVED],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["0"] * 8, done.stderr[-2000:]


class Threads:
    """A folder like /proc/self/task with threads whose states are given look by look."""

    def __init__(self, folder: Path, **states: str) -> None:
        self.looks = 0
        self._folder, self._states = folder, states
        self._write()

    def glob(self, pattern: str) -> list[Path]:
        self.looks += 1
        self._write()
        return list(self._folder.glob(pattern))

    def _write(self) -> None:
        for number, (name, states) in enumerate(self._states.items()):
            (self._folder / f"{number}").mkdir(exist_ok=True)
            state = states[min(self.looks, len(states) - 1)]
            (self._folder / f"{number}/stat").write_text(f"{number} ({name}) {state} 1 2 3")


def test_threads_of_gloo_are_awaited_until_they_sleep_for_long(tmp_path):
    threads = Threads(tmp_path, pt_gloo_runloop="RRSSRDSSSSSS", python="R")
    assert await_gloo_threads(threads)
    assert threads.looks == 10  # the last five saw it asleep; the first letter is from before them


def test_threads_of_gloo_that_never_sleep_are_awaited_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(gloo_threads, "_PATIENCE", 0.05)
    assert not await_gloo_threads(Threads(tmp_path, pt_gloo_runloop="R"))
    assert await_gloo_threads(tmp_path / "elsewhere")


def test_a_process_by_itself_needs_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    network = nn.Linear(2, 2)
    parameter = nn.Parameter(torch.ones(1))
    with open_process_group("cpu") as group:
        assert group == ProcessGroup(rank=0, size=1)
        assert group.wrap(network, torch.device("cpu")) is network
        assert group.share("mine") == "mine"
        group.average([parameter])
        group.match(network)
        group.wait()
        with pytest.raises(ZeroDivisionError), group.first_alone():
            raise ZeroDivisionError
    assert not torch.distributed.is_initialized()


def test_a_description_that_is_not_whole_is_one_line(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="RANK is not set; start eenas with torchrun"), open_process_group("cpu"):
        pass
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TrainingError, match="must be a whole number, got 'two'"), open_process_group("cpu"):
        pass
