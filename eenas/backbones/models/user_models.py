"""Backbones from the user's code: a factory called with the number of classes, or a module."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from eenas import specs
from eenas.backbones.channels import channels_of
from eenas.backbones.transform import InputTransform, default_transform
from eenas.bounds import shortened_error
from eenas.errors import BackboneError
from eenas.tasks.images.frame import Size, sides_of

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


def user_transform(module: nn.Module, input_size: Size | None, channels: int, label: str) -> InputTransform:
    """Return the module's own `eenas_transform` (an InputTransform or a dict of its fields), at `input_size` if given.

    Without one, return the default transform for the task's `channels` if the module runs on them, else for those of
    its first convolution (`channels_of`). Raises BackboneError if the input size is not given.
    """
    stated = getattr(module, ATTRIBUTE, None)
    if isinstance(stated, Mapping):
        stated = specs.from_table(InputTransform, stated, file=label, key=ATTRIBUTE)
    if stated is not None:
        if not isinstance(stated, InputTransform):
            raise BackboneError(f"{label}: {ATTRIBUTE} must be an InputTransform or a dict, got {stated!r}")
        return stated if input_size is None else replace(stated, size=input_size)
    if input_size is None:
        raise BackboneError(
            f"{label}: its input size is unknown; pass input_size=N (--set task.input_size=N), "
            f"or give the module an attribute {ATTRIBUTE}"
        )
    return default_transform(input_size, channels_of(module, channels, sides_of(input_size)))


def _takes(factory: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(item.name == name or item.kind is item.VAR_KEYWORD for item in parameters)
