"""The runtimes that measure a study's latencies: by name, or custom ones by reference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch

from eenas.backbones.load import Backbone
from eenas.errors import MeasurementError
from eenas.escaping import shortened
from eenas.measurement.runtime import Runtime
from eenas.measurement.torch_runtime import TorchRuntime
from eenas.networks.host_loop import predict_loop
from eenas.plugins import Registry, is_reference
from eenas.study.settings.study_spec import StudySpec
from eenas.training.own_code import load_own_code

MakeRuntime: TypeAlias = Callable[[Backbone, torch.device], Runtime]
"""A function or class that returns the runtime that times a backbone on a device."""

METHODS = ("conditions", "time_backbone", "time_branch")


def runtime_named(name: str, backbone: Backbone, device: torch.device) -> Runtime:
    """Return the runtime of this name for a backbone on a device. A custom one must have been loaded before.

    Raises ExportError without the extra `onnx`, DeviceError for a device that the runtime does not support, and
    MeasurementError for a custom one without the methods of `Runtime`.
    """
    found = RUNTIMES.find(name)(backbone, device)
    if lacking := [method for method in METHODS if not callable(getattr(found, method, None))]:
        raise MeasurementError(f"{name}: must return a Runtime, but {type(found).__name__} has no {lacking[0]}; add it")
    return found


def load_study_code(settings: StudySpec, *, trust_code: bool, relative_to: Path | None = None) -> None:
    """Load the custom code that the space and the latency settings of a study name (see `load_own_code`)."""
    load_own_code(settings.space, trust_code=trust_code, relative_to=relative_to)
    if is_reference(settings.latency.runtime):
        RUNTIMES.find(settings.latency.runtime, trust_code=trust_code, relative_to=relative_to)


def _torch(backbone: Backbone, device: torch.device) -> Runtime:
    return TorchRuntime(backbone, host_loop=predict_loop)


def _onnxruntime(backbone: Backbone, device: torch.device) -> Runtime:
    from eenas.programs.onnx_runtime import OnnxRuntime

    return OnnxRuntime(device, backbone)


def _accept(name: str, found: Any) -> MakeRuntime:
    """Return the custom class or function, or raise MeasurementError for anything else."""
    if not callable(found):
        raise MeasurementError(f"{name}: a runtime must be a class or function, got {shortened(found)}; name one")
    make: MakeRuntime = found
    return make


RUNTIMES: Registry[MakeRuntime] = Registry(
    "runtime", {"torch": _torch, "onnxruntime": _onnxruntime}, accept=_accept, error=MeasurementError
)
