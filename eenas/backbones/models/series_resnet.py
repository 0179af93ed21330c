"""Residual networks of one-dimensional convolutions for time series."""

import torch.nn.functional as F
from torch import Tensor, nn

from eenas.backbones.models.series.packing import SeriesStep, mean_of_points
from eenas.errors import BackboneError


class SeriesBlock(SeriesStep):
    """Convolutions of 7, 5 and 3 points and a shortcut; [N, C, L] to [N, channels, ceil(L / stride)].

    The block of Wang, Yan and Oates 2017 ("Time series classification from scratch with deep neural networks", section
    3.3), whose first convolution and shortcut may halve the length here. If `masked`, each convolution reads zeros
    behind the end of a series, as it does behind a series without padding.
    """

    def __init__(self, inputs: int, channels: int, stride: int, *, masked: bool = False) -> None:
        super().__init__(masked=masked)
        self.stride = stride
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
        values, mask = self.split(x)
        left = None if mask is None else mask[:, :, :: self.stride]  # of the points that are left
        out = values
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = norm(conv(out))
            if index < len(self.convs) - 1:
                out = F.relu(out)
                out = out if left is None else out * left
        return self.join(F.relu(out + self.shortcut(values)), left)


class SeriesResNet(nn.Module):
    """Blocks of 32, 32, 64, 64, 128 and 128 channels (times `width` / 32), an average over time, a linear classifier.

    Takes [N, channels, L] of any length from 8 up and gives logits [N, num_classes]. Every second block halves the
    length, so that early features are long and cheap ones are deep, as in networks for images. If `masked`, the last of
    the `channels` is the mask of series of different length, and the padding changes nothing.
    """

    def __init__(self, channels: int, num_classes: int, width: int = 32, *, masked: bool = False) -> None:
        super().__init__()
        real = channels - masked
        if min(real, width) < 1:
            raise BackboneError(f"a series network needs positive channels and width, got {real} and {width}")
        sizes = [width, width, 2 * width, 2 * width, 4 * width, 4 * width]
        self.blocks = nn.Sequential(
            *(
                SeriesBlock(before, after, 2 if index % 2 == 0 else 1, masked=masked)
                for index, (before, after) in enumerate(zip([real, *sizes], sizes, strict=False))
            )
        )
        self.linear = nn.Linear(sizes[-1], num_classes)
        self.masked = masked
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes]."""
        found = self.blocks(x)
        values, mask = (found[:, :-1], found[:, -1:]) if self.masked else (found, None)
        logits: Tensor = self.linear(mean_of_points(values, mask))
        return logits
