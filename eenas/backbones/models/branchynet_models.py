"""LeNet and AlexNet as in BranchyNet (Teerapittayanon et al. 2016), without its branches."""

from collections import OrderedDict

from torch import nn

from eenas.errors import BackboneError
from eenas.tasks.images.frame import Size, sides_of, size_text


def branchynet_lenet(num_classes: int = 10, input_size: Size = 28) -> nn.Sequential:
    """LeNet for grey images [N, 1, H, W]: 5x5 convolutions of 5, 10 and 20 channels, then two linear layers.

    The linear layers have 84 and `num_classes` outputs. As in the original, pooling uses `ceil_mode` (28 px give 720
    features), and there is no activation between the linear layers. The original's branch is after `conv1`.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, sides = 1, sides_of(input_size)
    for index, channels in enumerate((5, 10, 20), start=1):
        layers[f"conv{index}"] = nn.Conv2d(inputs, channels, 5, padding=3)
        layers[f"pool{index}"] = nn.MaxPool2d(2, 2, ceil_mode=True)
        layers[f"relu{index}"] = nn.ReLU()
        inputs, sides = channels, (_pooled(sides[0] + 2, kernel=2), _pooled(sides[1] + 2, kernel=2))
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(inputs * sides[0] * sides[1], 84)
    layers["fc2"] = nn.Linear(84, num_classes)
    return nn.Sequential(layers)


def branchynet_alexnet(num_classes: int = 10, input_size: Size = 32) -> nn.Sequential:
    """AlexNet for CIFAR images [N, 3, H, W]: convolutions of 32, 64, 96, 96 and 64 channels, then 3 linear layers.

    The linear layers have 256, 128 and `num_classes` outputs. The original's branches are after `conv2` and `conv3`,
    before their ReLU. Raises BackboneError if the image is too small for three poolings.
    """
    sides = [_pooled(_pooled(_pooled(side, kernel=3), kernel=3), kernel=3) for side in sides_of(input_size)]
    if min(sides) < 1:
        raise BackboneError(f"branchynet_alexnet needs images of at least 8 px, got {size_text(input_size)}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for index, (channels, kernel) in enumerate(((32, 5), (64, 5), (96, 3), (96, 3), (64, 3)), start=1):
        layers[f"conv{index}"] = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2)
        layers[f"relu{index}"] = nn.ReLU()
        if index in (1, 2, 5):
            layers[f"pool{index}"] = nn.MaxPool2d(3, 2, ceil_mode=True)
        if index in (1, 2):
            layers[f"norm{index}"] = _local_response_norm()
        inputs = channels
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(inputs * sides[0] * sides[1], 256)
    layers["relu6"] = nn.ReLU()
    layers["dropout1"] = nn.Dropout(0.5)
    layers["fc2"] = nn.Linear(256, 128)
    layers["relu7"] = nn.ReLU()
    layers["dropout2"] = nn.Dropout(0.5)
    layers["fc3"] = nn.Linear(128, num_classes)
    return nn.Sequential(layers)


def _local_response_norm() -> nn.LocalResponseNorm:
    """`x / (2 + 5e-5 * sum of squares) ** 0.75` over three channels; torch divides its alpha by the channels."""
    return nn.LocalResponseNorm(3, alpha=3 * 5e-5, beta=0.75, k=2.0)


def _pooled(side: int, *, kernel: int) -> int:
    """Return the side after a pooling of stride 2 with `ceil_mode`."""
    return -(-(side - kernel) // 2) + 1
