"""The torch runtime: modules in eager mode, as in the network itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eenas import __version__, specs
from eenas.backbones.chain import Chain, whole_module
from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.backbones.memory_format import INFERENCE, PLAIN, format_of, laid, lay_out
from eenas.branches.branch import Branch
from eenas.measurement.devices import device_name
from eenas.measurement.latency import Latency, LatencySpec, torch_runtime
from eenas.measurement.rounds import Part, Rounds, measure_beside, measure_latency
from eenas.measurement.runtime import DECISIONS, BackboneTimes, HostLoop, Joints, branch_to_time, host_times, way_to
from eenas.measurement.stopwatch import Run


class TorchRuntime:
    """A `Runtime` of prefixes of the chain and the user's own module, in the memory format of inference.

    Branches run in turns with the plain `backbone` if given, else alone. `host_loop` is the loop of `predict`, whose
    entry and decisions are timed. The default times a decision by NumPy.
    """

    def __init__(self, backbone: Backbone | None = None, *, host_loop: HostLoop | None = None) -> None:
        self._backbone = backbone
        self._format = INFERENCE if backbone is None else backbone.memory_format
        self._host_loop = host_loop or bare_decisions
        self._plain: dict[tuple[torch.device, int], Run] = {}
        self._chain: Chain | None = None
        self._ways: dict[tuple[torch.device, int, int], Run] = {}

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        known = [__version__, device_name(device), torch.__version__, str(self._format), self._host_loop.__name__]
        return [*known, named_beside(self._backbone, spec), specs.to_table(spec)]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        chain = copy_of(chain, device=device)
        inputs = backbone.example(spec.batch).to(device)
        lay_out(chain, backbone.memory_format)
        program, whole = torch_runtime("one program"), _module_run(backbone, device, spec)
        ways = [_part(chain.prefix(k), inputs, program) for k in range(len(chain.segments))]
        segment = chain.prefix(max(len(chain.names) // 2 - 1, 0))
        plain = Part(open=lambda: whole, runtime=torch_runtime("the module"))
        joints = list(_joints(chain, inputs))
        with inference(device, spec):
            found = Rounds(device=device, spec=spec).measure([*ways, plain, *joints], rising=range(len(ways)))
            entry, decision = host_times(
                self._host_loop, Rounds(device=device, spec=spec, host_clock=True), backbone.num_classes,
                program=lambda: segment(inputs), runtime=torch_runtime("the loop of predict"),
            )  # fmt: skip
        last = len(chain.names)
        pairs = zip(found[last + 2 :: 2], found[last + 3 :: 2], strict=True)
        cuts = tuple(max(apart.median_ms - together.median_ms, 0.0) for apart, together in pairs)
        return BackboneTimes(
            prefixes=found[:last],
            whole=found[last],
            plain=found[last + 1],
            decision=decision,
            joints=Joints(cut_ms=cuts or (0.0,) * last, call_ms=0.0, entry_ms=entry),
        )

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`."""
        module, features = branch_to_time(branch, shape, num_classes, spec.batch)
        module.to(device)
        format_ = format_of(module, features.to(device)) if self._format == INFERENCE else PLAIN
        lay_out(module, format_)
        timed = _part(module, laid(features.to(device), format_), torch_runtime())
        rounds = Rounds(device=device, spec=spec)
        if self._backbone is None:
            with inference(device, spec):
                return rounds.measure([timed])[0]
        key = (device, spec.batch)
        if key not in self._plain:
            self._plain[key] = _module_run(self._backbone, device, spec)
        way = self._way(self._backbone, shape, device, spec)
        with inference(device, spec):
            return measure_beside(timed, self._plain[key], rounds, torch_runtime("the module"), way)

    def _way(self, backbone: Backbone, shape: FeatureShape, device: torch.device, spec: LatencySpec) -> Run | None:
        """Return a run of the backbone up to features of this shape, or None if it has none."""
        k = way_to(backbone, shape)
        if k is None:
            return None
        if self._chain is None:
            module, names = evaluated(backbone.module, device="cpu"), [point.name for point in backbone.cut_points]
            self._chain = Chain.built_from(module, backbone.example().cpu(), names)
        key = (device, spec.batch, k)
        if key not in self._ways:
            prefix, inputs = copy_of(self._chain.prefix(k), device=device), backbone.example(spec.batch).to(device)
            lay_out(prefix, backbone.memory_format)
            self._ways[key] = lambda: prefix(inputs)
        return self._ways[key]


def time_program(
    program: Callable[[Tensor], object],
    x: Tensor,
    *,
    device: torch.device,
    spec: LatencySpec,
    runtime: str,
    host_clock: bool = False,
    varies: bool = False,
) -> Latency:
    """Time `program(x)` on `device` as a profile does: `measure_latency` without gradients, in the type of `spec`."""
    with inference(device, spec):
        return measure_latency(
            lambda: program(x), device=device, spec=spec, runtime=runtime, host_clock=host_clock, varies=varies
        )


def time_programs(
    programs: Sequence[Callable[[Tensor], object]], x: Tensor, *, device: torch.device, spec: LatencySpec, runtime: str
) -> tuple[Latency, ...]:
    """Time several programs in turns by the host's clock; each must do at least as much as the one before it."""
    parts = [_part(program, x, runtime) for program in programs]
    with inference(device, spec):
        return Rounds(device=device, spec=spec, host_clock=True).measure(parts, rising=range(len(parts)))


@torch.inference_mode()
def _joints(chain: Chain, inputs: Tensor) -> Iterator[Part]:
    """Yield the two segments beside each cut point one after the other, then as one module.

    Nothing for a chain whose prefixes run its segments as they are: such a cut costs no time in eager mode.
    """
    if not chain.joins(0, len(chain.segments)):
        return
    x = inputs
    for k, (first, second) in enumerate(pairwise(chain.segments)):
        yield _part(nn.Sequential(first, second), x, torch_runtime("two programs"))
        yield _part(chain.part(k, k + 2), x, torch_runtime("one program"))
        x = first(x)


def _part(program: Callable[[Tensor], object], x: Tensor, runtime: str) -> Part:
    return Part(open=lambda: lambda: program(x), runtime=runtime)


def named_beside(backbone: Backbone | None, spec: LatencySpec) -> list[Any]:
    """Return the identity of the backbone that runs in turns with a branch."""
    return [] if backbone is None else [backbone.name, list(backbone.example(spec.batch).shape)]


def _module_run(backbone: Backbone, device: torch.device, spec: LatencySpec) -> Run:
    """Return a run of the user's own module, as a network without exits runs it."""
    module = whole_module(evaluated(backbone.module, device=device))
    lay_out(module, backbone.memory_format)
    inputs = backbone.example(spec.batch).to(device)
    return lambda: module(inputs)


def bare_decisions(num_classes: int, device: torch.device, batch: int, program: Run) -> tuple[Run, Run]:
    """A `HostLoop` of the host's work only: transfer of the logits, maximum of the softmax, and comparison."""
    logits = torch.zeros(batch, num_classes, device=device)

    def decide() -> bool:
        program()
        values = logits.float().cpu().numpy()
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        score = shares.max(axis=1) / shares.sum(axis=1)
        return bool((score >= 0.5).any())

    return decide, lambda: [decide() for _ in range(DECISIONS)]


@contextmanager
def inference(device: torch.device, spec: LatencySpec) -> Iterator[None]:
    """Disable gradients, and autocast to the type of `spec`; weights are cast in each run as in one inference."""
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(spec.dtype)
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None, cache_enabled=False),
    ):
        yield
