"""The name of a cut point: the block among the modules that return the same tensor."""

from collections.abc import Mapping, Sequence

from torch import nn


def has_weights(module: nn.Module) -> bool:
    """Whether a module has a parameter of its own with two or more dimensions (a bias or a batch norm has none)."""
    return any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))


def block_name(names: Sequence[str], modules: Mapping[str, nn.Module]) -> str:
    """Return the name of the block among `names`, modules that return the same tensor, in calling order.

    It is the outermost module around the first one that is not a stage: `layer2.1` among `layer2.1.relu`, `layer2.1`
    and the stage `layer2`.
    """
    around = sorted((name for name in names if f"{names[0]}.".startswith(f"{name}.")), key=len)
    return next((name for name in around if not is_stage(modules[name])), names[0])


def is_stage(module: nn.Module) -> bool:
    """Whether a module contains a series of blocks of one type, or is a plain sequence of several weight layers."""
    plain_sequence = type(module) is nn.Sequential and _weight_layers(module) > 1
    return plain_sequence or any(_is_row(part) for part in module.modules())


def _is_row(module: nn.Module) -> bool:
    """Whether a module's parts are blocks of one type, each with more than one weight layer.

    An nn.Sequential or nn.ModuleList may have a single block; a module of another type has at least two.
    """
    blocks = list(module.children())
    return (
        len(blocks) >= (1 if type(module) in (nn.Sequential, nn.ModuleList) else 2)
        and len({type(block) for block in blocks}) == 1
        and (type(blocks[0]) is nn.Sequential or not isinstance(blocks[0], nn.Sequential))
        and all(_weight_layers(block) > 1 for block in blocks)
    )


def _weight_layers(module: nn.Module) -> int:
    return sum(has_weights(part) for part in module.modules())
