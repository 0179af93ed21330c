"""The named networks with exits in time: recurrent layers or causal convolutions over blocks of a series."""

from dataclasses import replace

from torch import nn

from eenas.backbones.models.series.fixed_convolutions import KERNELS, THRESHOLDS, FixedConvolutions
from eenas.backbones.models.series.time_layers import CausalConvolution, Cell, RecurrentLayer, TimeLayer
from eenas.backbones.models.series.unrolled import BLOCKS, Unrolling, block_ends, unrolled
from eenas.errors import BackboneError
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import is_masked

HIDDEN, FILTERS = 32, 32
"""Channels of the recurrent layers and of the convolutions."""


def recurrent_in_time(cell: Cell, inputs: InputSpec, num_classes: int) -> nn.Sequential:
    """Return two recurrent layers of 32 cells over series [N, channels, length], with exits after each block."""
    how = unrolling_of(inputs)
    layers = [RecurrentLayer(how.real, HIDDEN, cell), RecurrentLayer(HIDDEN, HIDDEN, cell)]
    return unrolled(layers, num_classes, how)


def convolutions_in_time(inputs: InputSpec, num_classes: int) -> nn.Sequential:
    """Return four causal convolutions of 32 filters, dilated by 1, 2, 4 and 8, with exits after each block."""
    how = unrolling_of(inputs)
    layers: list[TimeLayer] = [CausalConvolution(how.real, FILTERS)]
    layers += [CausalConvolution(FILTERS, FILTERS, dilation=dilation) for dilation in (2, 4, 8)]
    return unrolled(layers, num_classes, how)


def fixed_in_time(
    inputs: InputSpec, num_classes: int, *, blocks: int = BLOCKS, kernels: int = KERNELS, thresholds: int = THRESHOLDS
) -> nn.Sequential:
    """Return fixed convolutions over series [N, channels, length], with exits after each block."""
    how = replace(unrolling_of(inputs, blocks), pool=("positive",))
    layer = FixedConvolutions(how.real, how.length, kernels=kernels, thresholds=thresholds)
    return unrolled([layer], num_classes, how)


def unrolling_of(inputs: InputSpec, blocks: int = BLOCKS) -> Unrolling:
    """Return how series of these inputs are read, in at most `blocks` blocks."""
    channels, length = inputs.size("channel") or 1, inputs.size("time") or 1
    if min(length, blocks) < 2:
        raise BackboneError(
            f"exits in time need series of at least 2 points and at least 2 blocks, got {length} and {blocks}; give "
            "longer series, or take a network whose exits are in depth, such as series_gru"
        )
    return Unrolling(channels=channels, ends=block_ends(length, min(blocks, length)), masked=is_masked(inputs))
