"""The channels that a module takes: found by running it, and changed where a first convolution takes others."""

from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.classifier import evaluating
from eenas.backbones.copies import copy_of
from eenas.errors import BackboneError

_Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d


class _Reached(Exception):
    """Ends a forward pass at the first layer that was looked for."""


def channels_of(module: nn.Module, channels: int, sides: tuple[int, int]) -> int:
    """The channels of images [N, C, *sides] that `module` runs on: `channels` where it does.

    Otherwise those that its first convolution to run takes, then those that any convolution takes, 3 and 1. Where it
    runs on none of them, those of the first convolution: another cause is then to be found. What has no convolution
    has its size to tell, not its channels. Lazy layers are initialised.
    """
    try:
        images = _images(channels, sides)
    except RuntimeError:  # the allocator's; whoever makes an example says so
        return channels
    initialise(module, images)  # a lazy layer takes any
    wanted = [channels, *_first_to_run(module, images)]
    declared = [part.in_channels for part in module.modules() if isinstance(part, _Layer)]
    options = list(dict.fromkeys([*wanted, *filter(None, declared), *((3, 1) if declared else ())]))
    found = next((option for option in options if _runs(module, option, sides)), None)
    return found if found is not None else wanted[1] if len(wanted) > 1 else channels


def initialise(module: nn.Module, example: Tensor) -> None:
    """Give lazy layers their sizes, which they take from the first input [N, ...] that they see; in place.

    What does not run is left as it is, for whoever runs it next to refuse.
    """
    lazy = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
    if any(isinstance(tensor, lazy) for tensor in (*module.parameters(), *module.buffers())):
        try:
            with evaluating(module):
                module(example)
        except Exception:  # whatever a module raises for an input that it cannot take
            return


def replace_stem(module: nn.Module, channels: int, example: Tensor, what: str) -> None:
    """Give `module`, in place, a first convolution for `channels`, found by a run on `example` [N, C, H, W].

    Its weights are those that were there, repeated over the channels and scaled so that grey images give the same.
    Raises BackboneError where the first layer that runs is no convolution of one group.
    """
    names = {part: name for name, part in module.named_modules()}
    first = _first(module, example)
    if not isinstance(first, nn.Conv2d) or first.groups != 1 or not names[first]:
        kind = "none" if first is None else f"a {type(first).__name__}"
        raise BackboneError(
            f"{what}: cannot be made for {channels} channels, since the first convolution that runs is {kind}; "
            f"leave backbone.channels out, or take a backbone of timm"
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
    """The channels that the first two-dimensional convolution takes to which a pass of images comes."""
    first = _first(copy_of(module), images)
    return [first.in_channels] if isinstance(first, nn.Conv2d) and first.in_channels else []


def _first(module: nn.Module, example: Tensor) -> nn.Module | None:
    """The first convolution to which a pass comes, whether it can take what it is given or not."""
    found: list[nn.Module] = []

    def note(part: nn.Module, inputs: object) -> None:
        found.append(part)
        raise _Reached

    handles = [part.register_forward_pre_hook(note) for part in module.modules() if isinstance(part, _Layer)]
    try:
        with evaluating(module):
            module(example)
    except Exception:  # our own end, or whatever a module raises for images that it cannot take
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _runs(module: nn.Module, channels: int, sides: tuple[int, int]) -> bool:
    try:
        copied = copy_of(module)  # lazy layers keep the sizes of the first input
        with evaluating(copied):
            copied(_images(channels, sides))
    except Exception:  # whatever a module raises for images that it cannot take
        return False
    return True


def _images(channels: int, sides: tuple[int, int]) -> Tensor:
    return torch.zeros(2, channels, *sides)
