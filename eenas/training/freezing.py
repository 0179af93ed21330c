"""Freezing parts of a network for a phase: no gradient, and eval mode that survives `train()`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from eenas.networks.network import EarlyExitNetwork
from eenas.training.segments import SegmentNames, segments
from eenas.training.strategies import Phase


@contextmanager
def frozen(network: EarlyExitNetwork, phase: Phase, parts: Sequence[SegmentNames] = ()) -> Iterator[None]:
    """Inside the block, only the weights that `phase` trains have a gradient and follow `train()`.

    Afterwards, the previous state is restored. Weights that were frozen before stay frozen. Parameters and buffers of
    frozen parts stay bitwise equal. `parts` are the `segments` of the network (default: they are found).
    """
    parameters, modules = _trained(network, phase, parts)
    learns = {id(parameter) for parameter in parameters}
    off = [each for each in network.parameters() if each.requires_grad and id(each) not in learns]
    moves = {id(module) for module in modules}
    everything = [*network.backbone.modules(), *network.branches.modules()]
    before = network.kept_in_eval
    for parameter in off:
        parameter.requires_grad_(False)
        parameter.grad = None
    network.keep_in_eval((*before, *(module for module in everything if id(module) not in moves)))
    try:
        yield
    finally:
        for parameter in off:
            parameter.requires_grad_(True)
        network.keep_in_eval(before)


def _trained(
    network: EarlyExitNetwork, phase: Phase, parts: Sequence[SegmentNames]
) -> tuple[list[nn.Parameter], list[nn.Module]]:
    """Return the parameters that a phase trains, and the modules in training mode."""
    whole: list[nn.Module] = []
    if phase.trains in ("all", "backbone"):
        whole.append(network.backbone)
    names = network.branches.names
    trained = {"all": range(len(names)), "backbone": (), "part": (phase.part,), "branches": phase.exits}
    whole += [network.branches.at(names[k]) for k in trained[phase.trains] if k < len(names)]
    parameters = [parameter for module in whole for parameter in module.parameters()]
    modules = [inner for module in whole for inner in module.modules()]
    if phase.trains == "part":
        segment = (parts or segments(network))[phase.part]
        parameters += [each for name, each in network.backbone.named_parameters() if name in segment.parameters]
        modules += [each for name, each in network.backbone.named_modules() if name in segment.modules]
    return parameters, modules
