"""The backbones that eenas provides: CIFAR ResNets, and BranchyNet's LeNet and AlexNet."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from eenas.backbones.models.branchynet_models import branchynet_alexnet, branchynet_lenet
from eenas.backbones.models.cifar_resnet import DEPTHS, CifarResNet
from eenas.backbones.transform import InputTransform, default_transform
from eenas.tasks.images.frame import Size


@dataclass(frozen=True)
class OwnModel:
    """A model's `build(num_classes, input_size)`, its default image size in pixels and its number of channels."""

    build: Callable[[int, Size], nn.Module]
    size: int
    channels: int


def _cifar_resnet(depth: int, num_classes: int, input_size: Size) -> nn.Module:
    return CifarResNet(depth, num_classes)


OWN_MODELS: dict[str, OwnModel] = {
    **{f"cifar_resnet{depth}": OwnModel(partial(_cifar_resnet, depth), 32, 3) for depth in DEPTHS},
    "branchynet_lenet": OwnModel(branchynet_lenet, 28, 1),
    "branchynet_alexnet": OwnModel(branchynet_alexnet, 32, 3),
}


def build_own(name: str, num_classes: int, input_size: Size | None) -> tuple[nn.Module, InputTransform]:
    """Return the model and its transform. Raises BackboneError if the input size is too small."""
    model = OWN_MODELS[name]
    size = input_size or model.size
    return model.build(num_classes, size), default_transform(size, model.channels)
