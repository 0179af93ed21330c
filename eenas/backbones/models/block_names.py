"""The name of a cut point: of the modules that give one and the same tensor, the one that is a block."""

from collections.abc import Mapping, Sequence

from torch import nn


def weighs(module: nn.Module) -> bool:
    """Whether a module has weights of its own: a parameter of two dimensions or more, so no bias and no batch norm."""
    return any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))


def block_name(names: Sequence[str], modules: Mapping[str, nn.Module]) -> str:
    """The name to show out of `names`, modules with one output, in the order in which they gave it.

    It is the outermost module around the one that made the tensor that is no stage (which holds blocks): `layer2.1`
    out of `layer2.1.relu`, `layer2.1` and `layer2`.
    """
    around = sorted((name for name in names if f"{names[0]}.".startswith(f"{name}.")), key=len)
    return next((name for name in around if not is_stage(modules[name])), names[0])


def is_stage(module: nn.Module) -> bool:
    """Whether a module holds a row of blocks of one kind, or is a plain sequence of several layers with weights."""
    plain_sequence = type(module) is nn.Sequential and _weight_layers(module) > 1
    return plain_sequence or any(_is_row(part) for part in module.modules())


def _is_row(module: nn.Module) -> bool:
    """Whether a module's parts are blocks of one kind, each more than a layer with its activation.

    A plain list may have a single one; a module of another type has at least two.
    """
    blocks = list(module.children())
    return (
        len(blocks) >= (1 if type(module) in (nn.Sequential, nn.ModuleList) else 2)
        and len({type(block) for block in blocks}) == 1
        and (type(blocks[0]) is nn.Sequential or not isinstance(blocks[0], nn.Sequential))
        and all(_weight_layers(block) > 1 for block in blocks)
    )


def _weight_layers(module: nn.Module) -> int:
    return sum(weighs(part) for part in module.modules())
