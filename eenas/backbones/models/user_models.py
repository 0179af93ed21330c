"""Backbones from the user's code: a factory called for the task's classes, or a module as it is."""

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


def call_factory(factory: Any, num_classes: int, what: str) -> nn.Module:
    """The module that `factory(num_classes=...)` makes; a factory without that argument is called without it.

    Raises BackboneError when it is no function, fails or returns something else.
    """
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise BackboneError(f"{what}: must be a function of num_classes or a module, got a {type(factory).__name__}")
    try:
        module = factory(num_classes=num_classes) if _takes(factory, "num_classes") else factory()
    except Exception as error:  # whatever the user's code raises
        raise BackboneError(f"{what}: the factory failed: {type(error).__name__}: {shortened_error(error)}") from error
    if not isinstance(module, nn.Module):
        raise BackboneError(f"{what}: the factory must return an nn.Module, got a {type(module).__name__}")
    return module


def python_module(module: nn.Module, what: str) -> nn.Module:
    """The module itself, or the one that `torch.compile` wraps.

    Raises BackboneError for what cannot be trained and cut: TorchScript, and parameters of another type than float32.
    """
    module = getattr(module, "_orig_mod", module)
    if isinstance(module, torch.jit.ScriptModule):
        raise BackboneError(f"{what}: is TorchScript, which cannot be cut; give the Python module that it was made of")
    odd = next((each for each in module.parameters() if each.is_floating_point() and each.dtype != torch.float32), None)
    if odd is not None:
        raise BackboneError(f"{what}: holds parameters of {odd.dtype}, and eenas trains float32; give module.float()")
    return module


def user_transform(module: nn.Module, input_size: Size | None, channels: int, what: str) -> InputTransform:
    """The module's own `eenas_transform` (an InputTransform or a table of its fields), at `input_size` if given.

    Without one: the default transform for as many `channels` as the task has, where the module runs on them, or for
    those that its first layer takes (`channels_of`). Raises BackboneError when nobody says the size.
    """
    stated = getattr(module, ATTRIBUTE, None)
    if isinstance(stated, Mapping):
        stated = specs.from_table(InputTransform, stated, file=what, key=ATTRIBUTE)
    if stated is not None:
        if not isinstance(stated, InputTransform):
            raise BackboneError(f"{what}: {ATTRIBUTE} must be an InputTransform or a dict, got {stated!r}")
        return stated if input_size is None else replace(stated, size=input_size)
    if input_size is None:
        raise BackboneError(
            f"{what}: its input size is not known; pass input_size=N (--set task.input_size=N), "
            f"or give the module an attribute {ATTRIBUTE}"
        )
    return default_transform(input_size, channels_of(module, channels, sides_of(input_size)))


def _takes(factory: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(item.name == name or item.kind is item.VAR_KEYWORD for item in parameters)
