"""Where the time of a trial goes on ResNet-20, and how far it is from what the machine can do.

    python tests/benchmarks/trial_profile.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out profile.csv

The limit is arithmetic: the multiply-accumulates of all forward passes, and twice as many for a backward pass, at the
speed that large matrix products reach here. The trial is one after the first, in which the teacher has answered to the
batches that all trials share; what that took is told apart. Everything is timed in turns, step by step, so that a
machine whose speed changes changes all parts alike. Run it with nothing else on the machine.
"""

import time
from collections import defaultdict
from collections.abc import Callable

import torch
from cifar import Rows, arguments, context, design_of
from strategies import HEADS
from torch.nn import functional

from eenas.designs.design import Placed, TrainingChoice
from eenas.networks.tables import exit_table
from eenas.seeding import derive
from eenas.training.batches import training_batches
from eenas.training.distillation import BackboneTeacher, KeptAnswers
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec
from eenas.training.steps import Steps, TrainingPlan
from eenas.training.strategies import phases

SIZE = 1024
BATCH = 64


class Clock:
    """Seconds of each part, summed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def of(self, part: str, run: Callable[[], object]) -> None:
        """Run and time."""
        start = time.perf_counter()
        run()
        self.seconds[part] += time.perf_counter() - start


def main() -> None:
    """Time the steps of one trial and their parts, then its exit tables."""
    given = arguments(__doc__ or "", samples=6400)
    on = context(given)
    design = design_of(on, [Placed(name, head) for name, head in HEADS.items()], TrainingChoice())
    costs, spec = on.costs(design), TrainingSpec(samples=given.samples, batch_size=BATCH)
    count = given.samples // BATCH
    network = on.build(design)
    if on.execution.channels_last:
        network.to(memory_format=torch.channels_last)
    kept = KeptAnswers()
    teacher = BackboneTeacher(network.backbone, kept)
    choice = design.training.canonical(len(design.branches))
    (phase,) = phases(choice, len(costs.costs["macs"]))
    plan = TrainingPlan(choice=choice, spec=spec, costs=costs.costs["macs"].tolist(), seed=0, execution=on.execution)
    steps = Steps(network, phase, plan, ProcessGroup(), teacher)
    batches = training_batches(
        on.task.train, on.task, network.transform, spec, derive(0, "profile"), on.device, ProcessGroup()
    )
    clock, left, right = Clock(), torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    matrices = 0

    def matrix() -> None:
        nonlocal matrices
        matrices += 1
        clock.of("matrices", lambda: left @ right)

    network.train()
    coming = batches.epoch(0)
    for number in range(-2, count):  # two steps to warm up
        if number == 0:
            clock.seconds.clear()
            matrices = 0
        start = time.perf_counter()
        images, labels = next(coming)
        clock.seconds["load"] += time.perf_counter() - start
        placed, names = on.execution.place(images), labels

        def passes(x: torch.Tensor = placed, y: torch.Tensor = names) -> None:
            with on.execution.precision(on.device):
                logits = network(x)
            torch.stack([functional.cross_entropy(each, y) for each in logits]).sum().backward()  # type: ignore[no-untyped-call]

        clock.of("teacher", lambda x=placed, n=number: teacher.answers(x, n))  # type: ignore[misc]
        clock.of("step", lambda x=images, y=labels, n=number: steps.take([(x, y)], 0.5, n))  # type: ignore[misc]
        clock.of("passes", passes)
        matrix()
    for split in ("calibration", "validation"):
        clock.of("tables", lambda name=split: exit_table(network, on.task.split(name), costs))  # type: ignore[misc]
        matrix()
    spent = clock.seconds
    speed = SIZE**3 * matrices / spent["matrices"]
    read = (len(on.task.calibration) + len(on.task.validation)) * costs.costs["macs"][-1]
    limit = (3 * costs.costs["macs"][-1] * given.samples + read) / speed
    total = spent["load"] + spent["step"] + spent["tables"]
    parts = {
        "waiting for images": spent["load"],
        "forward and backward": spent["passes"],
        "the rest of a step (loss, optimiser, checks)": spent["step"] - spent["passes"],
        "exit tables": spent["tables"],
        "the trial": total,
        "the limit": limit,
        "the teacher, in the first trial": spent["teacher"],
    }
    rows = Rows(given.out, ("part",))
    for part, value in parts.items():
        rows.add({"part": part, "seconds": f"{value:.2f}", "share": f"{value / total:.3f}"})
    print(
        f"{given.samples / (spent['load'] + spent['step']):.0f} samples a second; "
        f"matrix products: {speed / 1e9:.1f} GMAC/s; {total / limit:.2f} times the limit"
    )


if __name__ == "__main__":
    main()
