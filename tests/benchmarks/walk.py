"""The steps that a network goes through from loading to export, each with what it found; the first failure ends it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.classifier import evaluating
from eenas.backbones.extra_state import split_state
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.backbones.outputs import main_output
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.designs.placement import candidates, uniform
from eenas.errors import EenasError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import MemoryCache, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.parity import ParitySamples, compare
from eenas.programs.programs import Format, Programs
from eenas.programs.runtime import load
from eenas.tasks.images.image_input import image_input
from eenas.tasks.task import Task
from eenas.training.execution import choose_execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network

STEPS = ("load", "chain", "count", "train", "measure", "torch", "onnx")
CLASSES, BATCH = 4, 4
QUICK = LatencySpec(runtime="torch", warmup=1, min_repeats=2, max_repeats=3, seconds=0.01)


@dataclass
class Walk:
    """One network on its way. `facts` grows with each step; `failed` is the step that stopped it, `reason` why."""

    name: str
    size: int
    channels: int
    folder: Path
    formats: tuple[Format, ...] = ("pt2", "onnx")
    facts: dict[str, Any] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    failed: str = ""
    reason: str = ""

    def go(self, until: str = STEPS[-1]) -> "Walk":
        """Take every step up to `until`, or until one fails."""
        steps = self._steps()
        while until not in self.passed:
            expected = STEPS[len(self.passed)] if len(self.passed) < len(STEPS) else ""
            start = time.perf_counter()
            try:
                name, facts = next(steps)
            except StopIteration:
                return self
            except EenasError as error:
                self.failed, self.reason = expected, str(error)
                return self
            except Exception as error:  # a fault of eenas: the row says so
                self.failed, self.reason = expected, f"TRACEBACK {type(error).__name__}: {error}"
                return self
            self.passed.append(name)
            self.facts |= facts | {f"{name}_s": f"{time.perf_counter() - start:.1f}"}
        return self

    def _steps(self) -> Iterator[tuple[str, dict[str, Any]]]:
        torch.manual_seed(0)
        backbone = load_backbone(
            BackboneSpec(self.name), num_classes=CLASSES, inputs=image_input(self.size, self.channels), trust_code=True,
            relative_to=Path(__file__).parent.parent,
        )  # fmt: skip
        yield "load", {"cut_points": len(backbone.cut_points)}
        names = [point.name for point in backbone.cut_points]
        chain = Chain.built_from(backbone.module, backbone.example(), names)
        yield "chain", {"parity": f"{_difference(backbone, chain):.1e}"}
        profile = profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)
        yield "count", {"macs": profile.total_macs, "uncounted": " ".join(profile.uncounted)}
        points = candidates(profile)
        chosen = [names[points[k]] for k in uniform(min(2, len(points)), len(points))]
        network = _network(backbone, chosen)
        assert len(split_state(network.state_dict())[0]) == _entries(network), "two parameters or buffers share a key"
        task = _task(self.channels, self.size)
        _train(network, task, backbone)
        yield "train", {"branches": " ".join(chosen)}
        short = _joined(chain, chosen)
        timed = profile_backbone(backbone, short, device=torch.device("cpu"), latency=QUICK)
        assert timed.plain_latency is not None
        yield "measure", {"plain_ms": f"{timed.plain_latency.median_ms:.2f}"}
        for format_ in self.formats:
            found = _exported(network, task, self.folder / format_, format_)
            yield {"pt2": "torch", "onnx": "onnx"}[format_], {f"{format_}_difference": f"{found:.1e}"}


def _difference(backbone: Backbone, chain: Chain) -> float:
    """The largest difference between the logits of chain and module, as a share of the largest logit (or of 1)."""
    x = backbone.example(3)
    with torch.no_grad(), evaluating(backbone.module):
        expected = main_output(backbone.module(x))
        return float((chain(x) - expected).abs().max() / expected.abs().max().clamp(min=1.0))


def _joined(chain: Chain, names: list[str]) -> Chain:
    """The chain with only some of its cut points."""
    ends = [chain.names.index(name) + 1 for name in names]
    parts = list(chain.segments)
    return Chain(names, [nn.Sequential(*parts[a:b]) for a, b in pairwise([0, *ends, len(parts)])])


def _network(backbone: Backbone, chosen: list[str]) -> EarlyExitNetwork:
    vectors = {point.name for point in backbone.cut_points if point.shape.kind == "vector"}
    design = Design(
        backbone=backbone.name,
        num_classes=CLASSES,
        inputs=backbone.transform.inputs,
        branches=tuple(Placed(name, Fc() if name in vectors else PoolFc(pool="avg", size=2)) for name in chosen),
    )
    return build_network(design, backbone, classes=tuple("abcd"))


def _entries(network: EarlyExitNetwork) -> int:
    """How many parameters and buffers a state dict has to hold, one that is shared once for each of its names."""
    modules = [part for _, part in network.named_modules(remove_duplicate=False)]
    kept = [value for part in modules for value in part._parameters.values()]
    for part in modules:
        hidden = part._non_persistent_buffers_set
        kept += [value for name, value in part._buffers.items() if name not in hidden]
    return sum(value is not None for value in kept)


def _task(channels: int, size: int) -> Task:
    """Noise, brighter by class: enough images for two batches of each split."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), 10)
    images = generator.integers(0, 160, (len(labels), size, size, channels)) + 20 * labels[:, None, None, None]
    return Task.from_arrays("noise", images.astype(np.uint8), labels, classes=tuple("abcd"), flip=None)


def _train(network: EarlyExitNetwork, task: Task, backbone: Backbone) -> None:
    """Three steps of joint training, in the execution that a study would choose."""
    spec = TrainingSpec(samples=3 * BATCH, batch_size=BATCH, precision="float32")
    execution = choose_execution(network.backbone, backbone.example(BATCH), spec, cache=MemoryCache(), key="walk")
    costs = [float(k + 1) for k in range(len(network.exits))]
    training = network.design.training
    train_network(network, task, TrainingPlan(choice=training, spec=spec, costs=costs, seed=0, execution=execution))


def _exported(network: EarlyExitNetwork, task: Task, out: Path, format_: Format) -> float:
    """The largest difference between the logits of the exported programs and the network, over the exits."""
    network.cpu().eval()
    package = Package(
        network=network, backbone=BackboneSpec(network.design.backbone), trained=True, measured={}, card=""
    )
    write_folder(package, out, Programs(format=format_))
    model = load(out, threads=1, trust_code=True)
    transform = network.transform
    images = transform(task.validation.reader(transform.inputs)[np.arange(len(task.validation))])
    return max(compare(network, model, ParitySamples(images, "validation")).differences)
