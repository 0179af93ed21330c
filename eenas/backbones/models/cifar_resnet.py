"""The CIFAR ResNets of He et al. 2015 (arXiv 1512.03385, section 4.2) with parameter-free shortcuts."""

import torch.nn.functional as F
from torch import Tensor, nn

from eenas.errors import BackboneError

DEPTHS = (20, 32, 44, 56, 110)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; maps [N, C, H, W] to [N, channels, H / stride, W / stride].

    If the shape changes, the shortcut is option A of the paper, without parameters: every second pixel, with zeros for
    the new channels, half of them before and half after the old ones (as public weights expect).
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.padding = (channels - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output after the last ReLU."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x
        if self.stride != 1 or self.padding:
            shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + shortcut)


class CifarResNet(nn.Module):
    """A stem of 16 channels, three stages of 16, 32 and 64 channels, average pooling and a linear classifier.

    Maps images [N, 3, 32, 32] (or another size) to logits [N, num_classes]. `depth` is 6 n + 2 for n blocks per stage.
    Parameters are named `conv1`, `bn1`, `layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}` and `linear`. Raises BackboneError for
    any other depth.
    """

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise BackboneError(f"the depth of a CIFAR ResNet must be 6 n + 2 (such as {DEPTHS}), got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, num_classes]."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def _stage(inputs: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))
