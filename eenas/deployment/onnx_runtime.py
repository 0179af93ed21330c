"""The runtime onnxruntime for measurements: the programs that an export writes, run as `runtime.py` runs them."""

import copy
import importlib.metadata
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas import __version__, specs
from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.deployment.chain_models import chain_models, joined, module_model
from eenas.deployment.manifest import Manifest
from eenas.deployment.onnx_program import OPSET
from eenas.deployment.preprocessing import Preprocessing
from eenas.deployment.programs import need_onnx
from eenas.deployment.runtime import ExportedModel
from eenas.deployment.segments import INPUTS, OUTPUTS, PROVIDERS, open_session
from eenas.errors import DeviceError, EenasError, MeasurementError
from eenas.measurement.devices import device_name
from eenas.measurement.latency import Latency, LatencySpec, measure_difference, measure_latency
from eenas.measurement.runtime import BackboneTimes, Joints, branch_to_time
from eenas.policies.threshold import ThresholdPolicy

_DECISIONS = 8
"""Decisions are timed so many in a row."""

MOST_READ = 2**22
"""Bytes: more than the caches that a core has for itself, less than the one that cores share, where branches stay."""

Run = Callable[[], object]


class OnnxRuntime:
    """A `Runtime`: each way is timed as one ONNX program, and with it what the export's programs add between them.

    A design's segments end where its branches stand, in places that no measurement knows before. So every prefix is
    timed whole, and at every cut point the two segments that meet there, run one after the other and joined to one
    program, in turns: the difference is what cutting there costs (the call, features copied and laid out anew, layers
    that are not fused). Decisions are those of a threshold policy in `runtime.py`'s own loop.

    Branches and decisions are short, and run again and again alone they would find everything in the processor's
    caches. Within a network they do not: the backbone ran in between. So as many bytes as the backbone's weights have
    (`weights`, of which at most MOST_READ count) are read before each of their runs.

    Raises ExportError without the extra `onnx`, DeviceError for a device that onnxruntime has no provider for.
    """

    def __init__(self, device: torch.device, *, weights: int = 0) -> None:
        need_onnx()
        if device.type not in PROVIDERS:
            raise DeviceError(
                f"the runtime 'onnxruntime' measures on {' and '.join(PROVIDERS)}, got the device {device.type!r}; "
                "give --device cpu, or set latency.runtime to 'torch'"
            )
        import onnxruntime

        if PROVIDERS[device.type] not in onnxruntime.get_available_providers():
            raise DeviceError(
                f"this onnxruntime has no {PROVIDERS[device.type]} for the device {device.type!r}; install "
                "onnxruntime-gpu, give --device cpu, or set latency.runtime to 'torch'"
            )
        self._version = f"onnxruntime {onnxruntime.__version__}"
        self._others = np.ones(min(weights, MOST_READ) // 4, dtype=np.float32)

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        versions = [__version__, torch.__version__, importlib.metadata.version("onnx"), self._version, OPSET]
        return [device_name(device), *versions, self._others.nbytes, specs.to_table(spec)]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        images = backbone.example(spec.batch).cpu()
        on_cpu = copy.deepcopy(chain).cpu()
        models = self._exported(lambda: chain_models(on_cpu, backbone.example(2).cpu()), backbone.name)
        features = _features(on_cpu, images)
        prefixes = [
            self._time(self._run(joined(models[: k + 1]), images.numpy(), device, spec), device, spec)
            for k in range(len(models))
        ]
        cuts = []
        for k in range(len(models) - 1):
            first = self._run(models[k], features[k], device, spec)
            second = self._run(models[k + 1], features[k + 1], device, spec)
            both = self._run(joined(models[k : k + 2]), features[k], device, spec)
            cuts.append(measure_difference(_in_turn(first, second), both, device=device, spec=spec))
        entry, decision = self._time_host(images.numpy(), backbone.num_classes, device, spec)
        return BackboneTimes(
            prefixes=tuple(prefixes[:-1]),
            whole=prefixes[-1],
            plain=prefixes[-1],  # who wants no exits runs all of it as one program
            decision=decision,
            joints=Joints(
                cut_ms=tuple(max(cut, 0.0) for cut in cuts),
                call_ms=self._time(self._empty(backbone.num_classes, device, spec), device, spec).median_ms,
                entry_ms=entry,
            ),
        )

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`."""
        module, example = branch_to_time(branch, shape, num_classes, max(spec.batch, 2))
        what = f"{branch.label()} at features {list(shape.dims)}"
        model = self._exported(lambda: module_model(module, example[:2], exit_=branch.label()), what)
        return self._time_between(self._run(model, example[: spec.batch].numpy(), device, spec), device, spec)

    def _exported(self, export: Callable[[], Any], what: str) -> Any:
        try:
            return export()
        except EenasError as error:
            raise MeasurementError(f"{what}: cannot be timed in onnxruntime: {error}") from None

    def _run(self, model: Any, x: NDArray[np.float32], device: torch.device, spec: LatencySpec) -> Run:
        """A function that runs a model on `x` once, in a session like those of the exported programs."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "program.onnx"
            try:
                path.write_bytes(model.SerializeToString())
                session = open_session(path, provider=device.type, threads=spec.threads or 1)
            except EenasError:
                raise
            except Exception as error:  # onnxruntime and protobuf raise many kinds
                raise MeasurementError(f"a program does not open in onnxruntime: {str(error).strip()}") from None
        feed = {INPUTS[0]: np.ascontiguousarray(x)}
        return lambda: session.run(OUTPUTS[1:], feed)

    def _time(self, run: Run, device: torch.device, spec: LatencySpec) -> Latency:
        # the host's counter also on CUDA: a run ends with its outputs in the host's memory
        return measure_latency(run, device=device, spec=spec, runtime=f"{self._version}, one program", host_clock=True)

    def _time_between(self, run: Run, device: torch.device, spec: LatencySpec, what: str = "one program") -> Latency:
        """The same for what is run between others that take the caches."""
        return measure_latency(
            run,
            device=device,
            spec=spec,
            runtime=f"{self._version}, {what}",
            host_clock=True,
            before=self._others.sum,
        )

    def _empty(self, num_classes: int, device: torch.device, spec: LatencySpec) -> Run:
        """A program that gives what it takes."""
        model = self._exported(lambda: module_model(_Same(), torch.zeros(2, num_classes), exit_="nothing"), "nothing")
        return self._run(model, np.zeros((spec.batch, num_classes), dtype=np.float32), device, spec)

    def _time_host(
        self, images: NDArray[np.float32], num_classes: int, device: torch.device, spec: LatencySpec
    ) -> tuple[float, Latency]:
        """What an answer costs with programs that cost nothing: once, and for each decision."""
        logits = np.random.default_rng(0).normal(size=(spec.batch, num_classes)).astype(np.float32)
        model = ExportedModel(_manifest(images, num_classes), (lambda x, previous: (x, logits),) * _DECISIONS)
        one = self._time_between(lambda: model.reach(images, 0), device, spec, "decisions")
        all_ = self._time_between(lambda: model.reach(images, _DECISIONS - 1), device, spec, "decisions")
        each = max(all_.median_ms - one.median_ms, 0.0) / (_DECISIONS - 1)
        decision = replace(all_, median_ms=each, p95_ms=each * all_.p95_ms / all_.median_ms)
        return max(one.median_ms - each, 0.0), decision


class _Same(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` itself."""
        return x.clone()


def _in_turn(first: Run, second: Run) -> Run:
    def both() -> None:
        first()
        second()

    return both


@torch.inference_mode()
def _features(chain: Chain, images: torch.Tensor) -> list[NDArray[np.float32]]:
    """What each segment takes."""
    x, found = images, []
    for segment in chain.segments:
        found.append(x.numpy())
        x = segment(x)
    return found


def _manifest(images: NDArray[np.float32], num_classes: int) -> Manifest:
    """That of a model with decisions and nothing to decide about."""
    zeros = (0.0,) * images.shape[1]
    return Manifest(
        folder=Path(),
        kind="onnx",
        segments=(),
        single_file=None,
        classes=tuple(str(number) for number in range(num_classes)),
        exits=tuple(str(number) for number in range(_DECISIONS + 1)),
        preprocessing=Preprocessing(images.shape[-1], images.shape[1], zeros, tuple(1.0 for _ in zeros)),
        policy=ThresholdPolicy(
            score="max_softmax", temperatures=(1.0,) * (_DECISIONS + 1), thresholds=(0.5,) * _DECISIONS
        ),
        temperatures=(1.0,) * (_DECISIONS + 1),
        points=(),
        backbone_macs=None,
    )
