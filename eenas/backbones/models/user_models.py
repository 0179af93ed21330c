"""Backbones from the user's code: a factory called with the number of classes, or a module."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from eenas.backbones.channels import channels_of
from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.image_transform import default_transform
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.backbones.transforms.transform import Transform
from eenas.bounds import shortened_error
from eenas.errors import BackboneError
from eenas.tasks.images.frame import Size, sides_of
from eenas.tasks.images.image_input import size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import is_masked

ATTRIBUTE = "eenas_transform"


def call_factory(factory: Any, num_classes: int, label: str) -> nn.Module:
    """Return `factory(num_classes=...)`, or `factory()` if it has no such argument; a module is returned unchanged.

    `label` names the factory in messages. Raises BackboneError if it is not callable, fails or does not return a
    module.
    """
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise BackboneError(f"{label}: must be a function of num_classes or a module, got a {type(factory).__name__}")
    try:
        module = factory(num_classes=num_classes) if _takes(factory, "num_classes") else factory()
    except Exception as error:  # the user's code may raise anything
        raise BackboneError(f"{label}: the factory failed: {type(error).__name__}: {shortened_error(error)}") from error
    if not isinstance(module, nn.Module):
        raise BackboneError(f"{label}: the factory must return an nn.Module, got a {type(module).__name__}")
    return module


def python_module(module: nn.Module, label: str) -> nn.Module:
    """Return the module, unwrapped if `torch.compile` compiled it.

    Raises BackboneError for TorchScript, which cannot be cut, and for floating-point parameters other than float32.
    """
    module = getattr(module, "_orig_mod", module)
    script = next((name for name, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)), None)
    if script is not None:
        it = f"{script!r} is" if script else "is"
        raise BackboneError(f"{label}: {it} TorchScript, which cannot be cut; give the Python module it was made from")
    odd = next((each for each in module.parameters() if each.is_floating_point() and each.dtype != torch.float32), None)
    if odd is not None:
        raise BackboneError(f"{label}: parameters must be float32, got {odd.dtype}; give module.float()")
    return module


def user_transform(
    module: nn.Module, inputs: InputSpec, label: str, *, input_size: Size | None = None, is_assumed: bool = False
) -> Transform:
    """Return the module's own `eenas_transform` (a Transform or a dict of its fields), at the size of `inputs`.

    Inputs that no task has stated (`is_assumed`) do not count beside it: it is used at `input_size`, if given. Without
    an `eenas_transform`, return for images the default transform for the task's channels if the module runs on them,
    else for those of its first convolution (`channels_of`); for series that of their channels and length. Raises
    BackboneError if the size is not given, and for a module for another kind of input.
    """
    stated = getattr(module, ATTRIBUTE, None)
    if isinstance(stated, Mapping):
        stated = transform_from_table(stated, file=label, key=ATTRIBUTE)
    if stated is not None:
        if not isinstance(stated, Transform):
            raise BackboneError(f"{label}: {ATTRIBUTE} must be a Transform or a dict, got {stated!r}")
        if not is_assumed or stated.inputs.kind == "images":
            return _sized(stated, inputs, label)
        if input_size is None:
            return stated
        if stated.inputs.kind != "series":
            raise BackboneError(f"{label}: takes {stated.inputs}, which has no input size; leave input_size out")
        if not isinstance(input_size, int):
            raise BackboneError(f"{label}: takes series, whose size is their length, got {input_size}")
        return stated.sized(stated.inputs.with_size("time", input_size))
    if inputs.kind == "series":
        masked = is_masked(inputs)
        return SeriesTransform(inputs.size("channel") or 1, inputs.size("time") or 1, masked=masked)
    if inputs.kind == "graphs":
        return GraphTransform.of(inputs)
    if inputs.kind != "images":
        raise BackboneError(f"{label}: the task has {inputs}; give the module an attribute {ATTRIBUTE} for them")
    input_size = size_of(inputs)
    if input_size is None:
        raise BackboneError(
            f"{label}: its input size is unknown; pass input_size=N (--set task.input_size=N; "
            f"--input-size N of eenas backbone), or give the module an attribute {ATTRIBUTE}"
        )
    return default_transform(input_size, channels_of(module, inputs.size("channel") or 3, sides_of(input_size)))


def _sized(stated: Transform, inputs: InputSpec, label: str) -> Transform:
    """Return the transform that a module states, at the size of the task's samples."""
    if stated.inputs.kind != inputs.kind:
        raise BackboneError(
            f"{label}: its {ATTRIBUTE} takes {stated.inputs}, and the task has {inputs}; give one of that kind"
        )
    try:
        return stated.sized(inputs)
    except BackboneError as error:
        raise BackboneError(f"{label}: its {ATTRIBUTE} {error}") from None


def _takes(factory: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(item.name == name or item.kind is item.VAR_KEYWORD for item in parameters)
