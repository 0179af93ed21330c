"""Measurement in onnxruntime: the programs that an export writes, run in the same way as in `runtime.py`."""

import importlib.metadata
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas import __version__, specs
from eenas.backbones.chain import Chain
from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.bounds import shortened_error
from eenas.branches.branch import Branch
from eenas.errors import DeviceError, EenasError, MeasurementError
from eenas.measurement.devices import device_name
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.rounds import Part, Rounds, measure_beside
from eenas.measurement.runtime import DECISIONS, BackboneTimes, HostLoop, Joints, branch_to_time, host_times, way_to
from eenas.measurement.stopwatch import Run
from eenas.measurement.torch_runtime import named_beside
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.chain_models import ChainModels, export_module, join_models
from eenas.programs.manifest import Manifest
from eenas.programs.onnx_program import OPSET
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.programs import need_onnx
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import INPUTS, OUTPUTS, PROVIDERS, error_text, open_session

_PLACES = 5
"""The number of cut points between blocks of a series at which the cost of cutting is timed."""


class OnnxRuntime:
    """A `Runtime` that times the path to each cut point as one ONNX program, and the overhead between programs.

    A design's segments end at its branches, and measurement does not know these places in advance. So every prefix is
    timed as a whole. At every cut point, the two adjacent segments run in turns as two programs and as one. The
    difference is the cost of cutting there: the call, copying and re-laying out the features, and layers that are no
    longer fused. Between blocks of a series it is timed at _PLACES cut points and interpolated. Decisions are those of
    a threshold policy in the loop of `runtime.py`.

    Branches are timed in turns with the whole `backbone` as one program if given, else alone.

    Raises ExportError without the extra `onnx`, DeviceError if onnxruntime has no provider for the device.
    """

    def __init__(self, device: torch.device, backbone: Backbone | None = None) -> None:
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
        self._backbone = backbone
        self._models: ChainModels | None = None
        self._runs: dict[tuple[torch.device, int, int], Run] = {}

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        versions = [__version__, torch.__version__, importlib.metadata.version("onnx"), self._version, OPSET]
        return [device_name(device), *versions, named_beside(self._backbone, spec), specs.to_table(spec)]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        samples = backbone.example(spec.batch).cpu()
        on_cpu = copy_of(chain, device="cpu")
        models = self._models = self._exported(lambda: ChainModels(on_cpu, backbone.example(2).cpu()), backbone.name)
        features, last = _features(on_cpu, samples), len(chain.names)

        def part(start: int, end: int) -> Part:
            programs = self._exported(lambda: models.part(start, end), backbone.name)
            return self._part(programs, features[start], device, spec)

        parts = [part(0, k + 1) for k in range(last + 1)]
        places: Sequence[int] = range(last)
        if chain.joins(0, last + 1):  # every part of it is an export of its own, and blocks of a series are alike
            places = sorted({round(k) for k in np.linspace(0, last - 1, num=min(last, _PLACES))})
        for k in places:
            first, second, both = (part(start, end) for start, end in ((k, k + 1), (k + 1, k + 2), (k, k + 2)))
            parts += [_in_turn(first, second), both]
        rounds = Rounds(device=device, spec=spec, host_clock=True)
        found = rounds.measure(
            [*parts, self._empty(backbone.num_classes, device, spec)],
            rising=range(last + 1),
        )
        pairs = zip(found[last + 1 : -1 : 2], found[last + 2 : -1 : 2], strict=True)
        timed = [max(apart.median_ms - together.median_ms, 0.0) for apart, together in pairs]
        cuts = tuple(timed) if len(timed) == last else tuple(np.interp(range(last), places, timed).tolist())
        half = self._run(join_models(models.part(0, max(last // 2, 1))), samples.numpy(), device, spec)
        preprocessing = preprocessing_from(specs.to_table(backbone.transform))
        entry, decision = host_times(
            self._loop(samples.numpy(), preprocessing), rounds, backbone.num_classes,
            program=half, runtime=f"{self._version}, decisions",
        )  # fmt: skip
        return BackboneTimes(
            prefixes=found[:last],
            whole=found[last],
            plain=found[last],  # without exits, the whole backbone runs as one program
            decision=decision,
            joints=Joints(cut_ms=cuts, call_ms=found[-1].median_ms, entry_ms=entry),
        )

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`."""
        module, example = branch_to_time(branch, shape, num_classes, max(spec.batch, 2))
        what = f"{branch.label()} at features {list(shape.dims)}"
        model = self._exported(lambda: export_module(module, example[:2], exit_=branch.label()), what)
        timed = self._part([model], example[: spec.batch].numpy(), device, spec)
        rounds = Rounds(device=device, spec=spec, host_clock=True)
        if self._backbone is None:
            return rounds.measure([timed])[0]
        k = way_to(self._backbone, shape, self._models_of(self._backbone).names)
        way = None if k is None else self._prefix(self._backbone, k + 1, device, spec)
        plain = self._prefix(self._backbone, None, device, spec)
        return measure_beside(timed, plain, rounds, f"{self._version}, one program", way)

    def _models_of(self, backbone: Backbone) -> ChainModels:
        """Return the models of the chain that was timed, else of one over all cut points."""
        if self._models is None:
            module, names = evaluated(backbone.module, device="cpu"), [point.name for point in backbone.cut_points]
            chain = Chain.built_from(module, backbone.example().cpu(), names)
            self._models = self._exported(lambda: ChainModels(chain, backbone.example(2).cpu()), backbone.name)
        assert self._models is not None
        return self._models

    def _prefix(self, backbone: Backbone, segments: int | None, device: torch.device, spec: LatencySpec) -> Run:
        """Return a run of the first `segments` segments (None: all) as one program, exported on the first call."""
        models = self._models_of(backbone)
        key = (device, spec.batch, segments or len(models))
        if key not in self._runs:
            model = join_models(self._exported(lambda: models.part(0, key[2]), backbone.name))
            self._runs[key] = self._run(model, backbone.example(spec.batch).cpu().numpy(), device, spec)
        return self._runs[key]

    def _exported(self, export: Callable[[], Any], what: str) -> Any:
        try:
            return export()
        except EenasError as error:
            raise MeasurementError(f"{what}: cannot be measured in onnxruntime: {error}") from None

    def _part(self, models: list[Any], x: NDArray[np.float32], device: torch.device, spec: LatencySpec) -> Part:
        """Return consecutive models as one program on `x`. A run ends with the outputs in the host's memory."""
        return Part(
            open=lambda: self._run(join_models(models), x, device, spec),
            runtime=f"{self._version}, one program",
            size=sum(each.ByteSize() for each in models),
        )

    def _run(self, model: Any, x: NDArray[np.float32], device: torch.device, spec: LatencySpec) -> Run:
        """Return a function that runs a model once on `x`, in a session like those of the exported programs."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "program.onnx"
            try:
                path.write_bytes(model.SerializeToString())
                session = open_session(path, provider=device.type, threads=spec.threads or 1)
            except EenasError:
                raise
            except Exception as error:  # onnxruntime and protobuf raise many kinds
                raise MeasurementError(f"a program does not load in onnxruntime: {shortened_error(error)}") from None
        feed = {INPUTS[0]: np.ascontiguousarray(x)}

        def run() -> Any:
            try:
                return session.run(OUTPUTS[1:], feed)
            except Exception as error:
                raise MeasurementError(f"a program does not run in onnxruntime ({error_text(error)})") from None

        return run

    def _empty(self, num_classes: int, device: torch.device, spec: LatencySpec) -> Part:
        """Return a program that copies its input."""
        model = self._exported(lambda: export_module(_Same(), torch.zeros(2, num_classes), exit_="nothing"), "nothing")
        return self._part([model], np.zeros((spec.batch, num_classes), dtype=np.float32), device, spec)

    def _loop(self, samples: NDArray[np.float32], preprocessing: Preprocessing) -> HostLoop:
        """Return the loop of `runtime.py` around programs without cost."""

        def runtime_loop(num_classes: int, device: torch.device, batch: int, program: Run) -> tuple[Run, Run]:
            logits = np.random.default_rng(0).normal(size=(batch, num_classes)).astype(np.float32)

            def segment(x: NDArray[np.float32], previous: object) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
                program()
                return x, logits

            model = ExportedModel(_manifest(preprocessing, num_classes), (segment,) * DECISIONS)
            return (lambda: model.reach(samples, 0)), (lambda: model.reach(samples, DECISIONS - 1))

        return runtime_loop


class _Same(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a copy of `x`."""
        return x.clone()


def _in_turn(first: Part, second: Part) -> Part:
    """Return a part that runs one part after the other."""

    def opened() -> Run:
        one, two = first.open(), second.open()

        def both() -> None:
            one()
            two()

        return both

    return replace(first, open=opened, size=first.size + second.size)


@torch.inference_mode()
def _features(chain: Chain, samples: torch.Tensor) -> list[NDArray[np.float32]]:
    """Return the input of each segment."""
    x, found = samples, []
    for segment in chain.segments:
        found.append(x.numpy())
        x = segment(x)
    return found


def _manifest(preprocessing: Preprocessing, num_classes: int) -> Manifest:
    """Return the manifest of a model that only makes decisions."""
    return Manifest(
        folder=Path(),
        kind="onnx",
        segments=(),
        single_file=None,
        classes=tuple(str(number) for number in range(num_classes)),
        exits=tuple(str(number) for number in range(DECISIONS + 1)),
        preprocessing=preprocessing,
        policy=ThresholdPolicy(
            score="max_softmax", temperatures=(1.0,) * (DECISIONS + 1), thresholds=(0.5,) * DECISIONS
        ),
        temperatures=(1.0,) * (DECISIONS + 1),
        points=(),
        backbone_macs=None,
    )
