"""The input channels of a module: found by running it, and changed by replacing its first convolution."""

from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.classifier import evaluating
from eenas.backbones.copies import copy_of
from eenas.errors import BackboneError, plural
from eenas.faults import raise_shortage

_Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d


class _Reached(Exception):
    """Ends a forward pass at the first convolution."""


def channels_of(module: nn.Module, channels: int, sides: tuple[int, int]) -> int:
    """Return the number of channels C of images [N, C, *sides] that `module` runs on.

    Tried in this order: `channels`, the input channels of the first convolution that runs, those of any convolution, 3
    and 1. If the module runs on none of them, the channels of its first convolution are returned, since its failure
    has another cause. Without any convolution only `channels` is tried. Lazy layers are initialised in place.
    """
    try:
        images = _images(channels, sides)
    except RuntimeError:  # out of memory; the caller reports it when it makes its own example
        return channels
    initialise(module, images)  # a lazy layer accepts any number
    wanted = [channels, *_first_to_run(module, images)]
    declared = [part.in_channels for part in module.modules() if isinstance(part, _Layer)]
    options = list(dict.fromkeys([*wanted, *filter(None, declared), *((3, 1) if declared else ())]))
    found = next((option for option in options if _runs(module, option, sides)), None)
    return found if found is not None else wanted[1] if len(wanted) > 1 else channels


def initialise(module: nn.Module, example: Tensor) -> None:
    """Initialise lazy layers in place by running `example` [N, ...].

    A module that does not run is left unchanged; the next check reports it.
    """
    lazy = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
    if any(isinstance(tensor, lazy) for tensor in (*module.parameters(), *module.buffers())):
        try:
            with evaluating(module):
                module(example)
        except Exception as error:  # a user's module may raise anything
            raise_shortage(error)
            return


def replace_stem(module: nn.Module, channels: int, example: Tensor, label: str) -> None:
    """Replace the first convolution of `module`, in place, by one with `channels` input channels.

    The first convolution is found by running `example` [N, C, H, W]. Its weights are repeated over the new channels
    and scaled, so that grey images give the same features. Raises BackboneError if the first convolution that runs is
    not a Conv2d with one group.
    """
    names = {part: name for name, part in module.named_modules()}
    first = _first(module, example)
    if not isinstance(first, nn.Conv2d) or first.groups != 1 or not names[first]:
        kind = "none" if first is None else f"{type(first).__name__} with groups={first.groups}"
        raise BackboneError(
            f"{label}: cannot be built for {plural(channels, 'channel')}; the first convolution must be a Conv2d "
            "with one group, "
            f"got {kind}; leave backbone.channels out, or choose a timm backbone"
        )
    sizes: dict[str, Any] = {"stride": first.stride, "padding": first.padding, "dilation": first.dilation}
    sizes |= {"padding_mode": first.padding_mode, "bias": first.bias is not None}
    place: dict[str, Any] = {"device": first.weight.device, "dtype": first.weight.dtype}
    made = nn.Conv2d(channels, first.out_channels, first.kernel_size, **sizes, **place)  # type: ignore[arg-type]
    before = first.in_channels
    with torch.no_grad():
        repeated = first.weight[:, torch.arange(channels, device=first.weight.device) % before]
        made.weight.copy_(repeated * (before / channels))
        if made.bias is not None and first.bias is not None:
            made.bias.copy_(first.bias)
    owner, _, attribute = names[first].rpartition(".")
    setattr(module.get_submodule(owner), attribute, made.train(first.training))


def _first_to_run(module: nn.Module, images: Tensor) -> list[int]:
    """Return the input channels of the first convolution that runs, if it is a Conv2d."""
    first = _first(copy_of(module), images)
    return [first.in_channels] if isinstance(first, nn.Conv2d) and first.in_channels else []


def _first(module: nn.Module, example: Tensor) -> nn.Module | None:
    """Return the first convolution that a forward pass reaches, whether or not it accepts the input."""
    found: list[nn.Module] = []

    def note(part: nn.Module, inputs: object) -> None:
        found.append(part)
        raise _Reached

    handles = [part.register_forward_pre_hook(note) for part in module.modules() if isinstance(part, _Layer)]
    try:
        with evaluating(module):
            module(example)
    except Exception as error:  # `_Reached`, or any error of a user's module
        raise_shortage(error)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _runs(module: nn.Module, channels: int, sides: tuple[int, int]) -> bool:
    try:
        copied = copy_of(module)  # lazy layers keep the sizes of their first input
        with evaluating(copied):
            copied(_images(channels, sides))
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return False
    return True


def _images(channels: int, sides: tuple[int, int]) -> Tensor:
    return torch.zeros(2, channels, *sides)
