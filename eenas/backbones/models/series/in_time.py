"""The named networks with exits in time: recurrent layers or causal convolutions over 20 blocks of a series."""

from torch import nn

from eenas.backbones.models.series.time_layers import CausalConvolution, Cell, RecurrentLayer, TimeLayer
from eenas.backbones.models.series.unrolled import BLOCKS, Unrolling, block_ends, unrolled

HIDDEN, FILTERS = 32, 32
"""Channels of the recurrent layers and of the convolutions."""


def recurrent_in_time(cell: Cell, channels: int, length: int, num_classes: int) -> nn.Sequential:
    """Return two recurrent layers of 32 cells over series [N, channels, length], with exits after each block."""
    layers = [RecurrentLayer(channels, HIDDEN, cell), RecurrentLayer(HIDDEN, HIDDEN, cell)]
    return unrolled(layers, num_classes, _blocks(channels, length))


def convolutions_in_time(channels: int, length: int, num_classes: int) -> nn.Sequential:
    """Return four causal convolutions of 32 filters, dilated by 1, 2, 4 and 8, with exits after each block."""
    layers: list[TimeLayer] = [CausalConvolution(channels, FILTERS)]
    layers += [CausalConvolution(FILTERS, FILTERS, dilation=dilation) for dilation in (2, 4, 8)]
    return unrolled(layers, num_classes, _blocks(channels, length))


def _blocks(channels: int, length: int) -> Unrolling:
    return Unrolling(channels=channels, ends=block_ends(length, min(BLOCKS, length)))
