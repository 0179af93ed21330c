"""The runtime torch: modules in eager mode, as the network itself runs them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eenas import specs
from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.measurement.devices import device_name
from eenas.measurement.latency import Latency, LatencySpec, measure_latency, torch_runtime
from eenas.measurement.runtime import BackboneTimes, branch_to_time


class TorchRuntime:
    """A `Runtime`: prefixes of the chain, the user's own module as the plain backbone, decisions in NumPy."""

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        return [device_name(device), torch.__version__, specs.to_table(spec)]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        place = next(iter([*chain.parameters(), *chain.buffers()]), torch.empty(0)).device
        if place != device:
            chain = copy.deepcopy(chain).to(device)
        module = copy.deepcopy(backbone.module).to(device).eval()
        images = backbone.example(spec.batch).to(device)
        program = torch_runtime("one program")

        def time(what: Callable[[Tensor], object], runtime: str) -> Latency:
            return time_program(what, images, device=device, spec=spec, runtime=runtime)

        return BackboneTimes(
            prefixes=tuple(time(chain.prefix(k), program) for k in range(len(chain.names))),
            whole=time(chain, program),
            plain=time(module, torch_runtime("the module")),
            decision=_time_decision(backbone.num_classes, device, spec),
        )

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`."""
        module, features = branch_to_time(branch, shape, num_classes, spec.batch)
        return time_program(module.to(device), features.to(device), device=device, spec=spec, runtime=torch_runtime())


def time_program(
    program: Callable[[Tensor], object],
    x: Tensor,
    *,
    device: torch.device,
    spec: LatencySpec,
    runtime: str,
    host_clock: bool = False,
) -> Latency:
    """Time `program(x)` on `device` as a profile does: `measure_latency` without gradients, in the type of `spec`."""
    with _inference(device, spec):
        return measure_latency(lambda: program(x), device=device, spec=spec, runtime=runtime, host_clock=host_clock)


def _time_decision(num_classes: int, device: torch.device, spec: LatencySpec) -> Latency:
    """What the host waits for: the logits brought to it, the softmax's maximum, and the comparison."""
    logits = torch.zeros(spec.batch, num_classes, device=device)

    def decide() -> bool:
        values = logits.float().cpu().numpy()
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        score = shares.max(axis=1) / shares.sum(axis=1)
        return bool((score >= 0.5).any())

    with _inference(device, spec):
        return measure_latency(decide, device=device, spec=spec, runtime=torch_runtime("NumPy"), host_clock=True)


@contextmanager
def _inference(device: torch.device, spec: LatencySpec) -> Iterator[None]:
    """No gradients, and autocast to the type of `spec`; weights are cast anew in each run, as in a single inference."""
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(spec.dtype)
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None, cache_enabled=False),
    ):
        yield
