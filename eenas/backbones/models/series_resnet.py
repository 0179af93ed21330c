"""Residual networks of one-dimensional convolutions for time series."""

import torch.nn.functional as F
from torch import Tensor, nn

from eenas.errors import BackboneError


class SeriesBlock(nn.Module):
    """Convolutions of 7, 5 and 3 points and a shortcut; [N, C, L] to [N, channels, ceil(L / stride)].

    The block of Wang, Yan and Oates 2017 ("Time series classification from scratch with deep neural networks", section
    3.3), whose first convolution and shortcut may halve the length here.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        sizes = ((inputs, 7, stride), (channels, 5, 1), (channels, 3, 1))
        self.convs = nn.ModuleList(
            nn.Conv1d(before, channels, points, step, padding=points // 2, bias=False) for before, points, step in sizes
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in sizes)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv1d(inputs, channels, 1, stride, bias=False), nn.BatchNorm1d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The block's output after the last ReLU."""
        out = x
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = norm(conv(out))
            if index < len(self.convs) - 1:
                out = F.relu(out)
        return F.relu(out + self.shortcut(x))


class SeriesResNet(nn.Module):
    """Blocks of 32, 32, 64, 64, 128 and 128 channels (times `width` / 32), an average over time, a linear classifier.

    Takes [N, channels, L] of any length from 8 up and gives logits [N, num_classes]. Every second block halves the
    length, so that early features are long and cheap ones are deep, as in networks for images.
    """

    def __init__(self, channels: int, num_classes: int, width: int = 32) -> None:
        super().__init__()
        if min(channels, width) < 1:
            raise BackboneError(f"a series network needs positive channels and width, got {channels} and {width}")
        sizes = [width, width, 2 * width, 2 * width, 4 * width, 4 * width]
        self.blocks = nn.Sequential(
            *(
                SeriesBlock(before, after, 2 if index % 2 == 0 else 1)
                for index, (before, after) in enumerate(zip([channels, *sizes], sizes, strict=False))
            )
        )
        self.linear = nn.Linear(sizes[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes]."""
        logits: Tensor = self.linear(self.blocks(x).mean(dim=2))
        return logits
