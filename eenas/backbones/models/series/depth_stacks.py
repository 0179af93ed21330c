"""Stacks of layers over whole series, with an exit behind each layer: LSTM, GRU and a transformer."""

import math
from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.models.series.packing import SeriesStep, mean_of_points
from eenas.backbones.models.series.time_layers import CELLS, Cell
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import is_masked

LAYERS, HIDDEN = 3, 64
"""Layers of a stack, and their channels."""
HEADS, PATCH = 4, 4
"""Attention heads of the transformer, and the points that one of its positions covers."""


class RecurrentStep(SeriesStep):
    """A recurrent layer over a whole series, [N, C, L] to [N, hidden, L]."""

    def __init__(self, inputs: int, hidden: int, cell: Cell, *, masked: bool) -> None:
        super().__init__(masked=masked)
        self.cell = CELLS[cell](inputs, hidden, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at every point."""
        values, mask = self.split(x)
        found, _ = self.cell(values.transpose(1, 2))
        return self.join(found.transpose(1, 2), mask)


class PatchStep(SeriesStep):
    """Blocks of 4 points mapped to one position each, with sinusoidal positions (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, inputs: int, hidden: int, *, masked: bool) -> None:
        super().__init__(masked=masked)
        self.conv = nn.Conv1d(inputs, hidden, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, L] to [N, hidden, ceil(L / 4)]."""
        values, mask = self.split(x)
        found = self.conv(functional.pad(values, (0, -values.shape[2] % PATCH)))
        found = found + _positions(found)
        return self.join(found, None if mask is None else mask[:, :, ::PATCH])


class AttentionStep(SeriesStep):
    """A pre-norm transformer layer (Xiong et al. 2020) over positions [N, hidden, L]; padding is not attended to."""

    def __init__(self, hidden: int, *, masked: bool) -> None:
        super().__init__(masked=masked)
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.attend, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.widen, self.narrow = nn.Linear(hidden, 2 * hidden), nn.Linear(2 * hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at every position."""
        values, mask = self.split(x)
        tokens = values.transpose(1, 2)
        parts = self.attend(self.before(tokens)).chunk(3, dim=2)
        query, key, value = (part.reshape(*part.shape[:2], HEADS, -1).transpose(1, 2) for part in parts)
        hidden = None if mask is None else (mask.unsqueeze(1) - 1.0) * 1e9
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=hidden)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        tokens = tokens + self.narrow(functional.gelu(self.widen(self.between(tokens))))
        return self.join(tokens.transpose(1, 2), mask)


class SeriesClassifier(SeriesStep):
    """The mean over the points of a series, LayerNorm, and a linear layer: [N, C, L] to logits."""

    def __init__(self, inputs: int, num_classes: int, *, masked: bool) -> None:
        super().__init__(masked=masked)
        self.norm, self.linear = nn.LayerNorm(inputs), nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes]."""
        values, mask = self.split(x)
        logits: Tensor = self.linear(self.norm(mean_of_points(values, mask)))
        return logits


def recurrent_stack(cell: Cell, inputs: InputSpec, num_classes: int) -> nn.Sequential:
    """Return three recurrent layers of 64 cells over series [N, channels, length] and a classifier of their mean."""
    masked = is_masked(inputs)
    sizes = [(inputs.size("channel") or 1) - masked, *[HIDDEN] * LAYERS]
    steps = [RecurrentStep(a, b, cell, masked=masked) for a, b in pairwise(sizes)]
    return _stack(steps, num_classes, masked=masked)


def transformer_stack(inputs: InputSpec, num_classes: int) -> nn.Sequential:
    """Return three transformer layers over blocks of 4 points of series [N, channels, length], and a classifier."""
    masked = is_masked(inputs)
    steps: list[SeriesStep] = [PatchStep((inputs.size("channel") or 1) - masked, HIDDEN, masked=masked)]
    steps += [AttentionStep(HIDDEN, masked=masked) for _ in range(LAYERS)]
    return _stack(steps, num_classes, masked=masked)


def _stack(steps: list[SeriesStep] | list[RecurrentStep], num_classes: int, *, masked: bool) -> nn.Sequential:
    named = OrderedDict[str, nn.Module]((f"layer{number}", step) for number, step in enumerate(steps, start=1))
    named["classifier"] = SeriesClassifier(HIDDEN, num_classes, masked=masked)
    return nn.Sequential(named)


def _positions(like: Tensor) -> Tensor:
    """Return sinusoids [D, L] for features [N, D, L]."""
    channels, length = like.shape[1:]
    at = torch.arange(length, dtype=torch.float32, device=like.device)
    rates = torch.exp(
        torch.arange(0, channels, 2, dtype=torch.float32, device=like.device) * (-math.log(1e4) / channels)
    )
    angles = rates[:, None] * at
    return torch.cat([angles.sin(), angles.cos()])[:channels]
