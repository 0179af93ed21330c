"""Where the time of a trial goes on ResNet-20, and how far it is from what the machine can do.

    python tests/benchmarks/trial_profile.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out profile.csv

The limit is arithmetic: the multiply-accumulates of all forward passes, and twice as many for a backward pass, at the
speed that large matrix products reach here. The trial is one after the first, in which the teacher has answered to the
batches that all trials share; what that took is told apart. Run it with nothing else on the machine.
"""

import time
from collections.abc import Callable

import torch
from cifar import Rows, arguments, design_of, ground, train
from strategies import HEADS
from torch.nn import functional

from eenas.designs.design import Placed, TrainingChoice
from eenas.networks.tables import exit_table
from eenas.seeding import derive
from eenas.training.batches import training_batches
from eenas.training.distillation import BackboneTeacher, KeptAnswers
from eenas.training.spec import TrainingSpec
from eenas.training.world import World

SIZE = 1024


def seconds(run: Callable[[], object], times: int) -> float:
    """The median of several runs."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return sorted(found)[len(found) // 2]


def matrix_speed() -> float:
    """Multiply-accumulates a second of a large float32 matrix product."""
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    a @ b
    return SIZE**3 / seconds(lambda: a @ b, 20)


def main() -> None:
    """Time the parts of one trial, then all of it."""
    given = arguments(__doc__ or "", samples=6400)
    on = ground(given)
    design = design_of(on, [Placed(name, head) for name, head in HEADS.items()], TrainingChoice())
    costs, spec = on.costs(design), TrainingSpec(samples=given.samples, batch_size=64)
    steps = given.samples // 64
    network = on.build(design)
    if on.execution.channels_last:
        network.to(memory_format=torch.channels_last)
    teacher = BackboneTeacher(network.backbone)
    batches = training_batches(
        on.task.train, on.task, network.transform, spec, derive(0, "profile"), on.device, World()
    )
    images, labels = next(batches.epoch(0))
    images = on.execution.place(images)

    def forward() -> torch.Tensor:
        return torch.stack([functional.cross_entropy(logits, labels) for logits in network(images)]).sum()

    def both() -> None:
        forward().backward()

    def load() -> None:
        for number, _ in enumerate(batches.epoch(1)):
            if number == 20:
                return

    parts = {
        "loading and augmenting": seconds(load, 3) / 20 * steps,
        "forward and backward": seconds(both, 15) * steps,
    }
    once = seconds(lambda: teacher.answers(images), 15) * steps
    speed, taught = matrix_speed(), KeptAnswers()
    train(on, design, samples=given.samples, seed=0, taught=taught)
    start = time.perf_counter()
    trained = train(on, design, samples=given.samples, seed=0, taught=taught)
    whole = time.perf_counter() - start
    parts["the rest of a step (loss, optimiser, checks)"] = whole - sum(parts.values())
    start = time.perf_counter()
    for split in ("calibration", "validation"):
        exit_table(trained, on.task.split(split), costs)
    parts["exit tables"] = time.perf_counter() - start
    speed = (speed + matrix_speed()) / 2
    read = (len(on.task.calibration) + len(on.task.validation)) * costs.macs[-1]
    limit = (3 * costs.macs[-1] * given.samples + read) / speed
    rows = Rows(given.out, ("part",))
    total = whole + parts["exit tables"]
    for part, value in parts.items():
        rows.add({"part": part, "seconds": f"{value:.2f}", "share": f"{value / total:.3f}"})
    rows.add({"part": "the trial", "seconds": f"{total:.2f}", "share": "1"})
    rows.add({"part": "the limit", "seconds": f"{limit:.2f}", "share": f"{limit / total:.3f}"})
    rows.add({"part": "the teacher, in the first trial", "seconds": f"{once:.2f}", "share": f"{once / total:.3f}"})
    print(
        f"{given.samples / whole:.0f} samples a second; matrix products: {speed / 1e9:.1f} GMAC/s; "
        f"{total / limit:.2f} times the limit"
    )


if __name__ == "__main__":
    main()
