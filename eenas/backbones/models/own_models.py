"""eenas's own backbones: CIFAR ResNets, BranchyNet's LeNet and AlexNet, networks for series, texts and graphs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from eenas.backbones.graphs.graph_blocks import graph_network
from eenas.backbones.models.branchynet_models import branchynet_alexnet, branchynet_lenet
from eenas.backbones.models.cifar_resnet import DEPTHS, CifarResNet
from eenas.backbones.models.series.depth_stacks import recurrent_stack, transformer_stack
from eenas.backbones.models.series.in_time import convolutions_in_time, fixed_in_time, recurrent_in_time
from eenas.backbones.models.series_resnet import SeriesResNet
from eenas.backbones.models.text_transformer import MOST_TOKENS, PAD_ID, VOCABULARY, TextTransformer
from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.image_transform import default_transform
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.backbones.transforms.transform import Transform
from eenas.tasks.graphs.graph_input import FEATURES, graph_input, graph_option
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_input import image_input, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import is_masked, series_input
from eenas.tasks.text.text_input import text_input


@dataclass(frozen=True)
class OwnModel:
    """A model's `build(num_classes, inputs)` and its default inputs."""

    build: Callable[[int, InputSpec], nn.Module]
    inputs: InputSpec


def _of_images(build: Callable[[int, Size], nn.Module], num_classes: int, inputs: InputSpec) -> nn.Module:
    size = size_of(inputs)
    assert size is not None
    return build(num_classes, size)


def _cifar_resnet(depth: int, num_classes: int, input_size: Size) -> nn.Module:
    return CifarResNet(depth, num_classes)


def _series_resnet(width: int, num_classes: int, inputs: InputSpec) -> nn.Module:
    return SeriesResNet(inputs.size("channel") or 1, num_classes, width, masked=is_masked(inputs))


def _text_transformer(num_classes: int, inputs: InputSpec) -> nn.Module:
    return TextTransformer(num_classes)


def _of_series(build: Callable[[InputSpec, int], nn.Module], num_classes: int, inputs: InputSpec) -> nn.Module:
    return build(inputs, num_classes)


def _graph_network(kind: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return graph_network(kind, num_classes, graph_option(inputs, FEATURES))


GRAPH_MODELS = ("gin", "gcn", "gat", "sage", "pyg_gin", "pyg_gcn", "pyg_gat")

OWN_MODELS: dict[str, OwnModel] = {
    **{
        f"cifar_resnet{depth}": OwnModel(partial(_of_images, partial(_cifar_resnet, depth)), image_input(32, 3))
        for depth in DEPTHS
    },
    "branchynet_lenet": OwnModel(partial(_of_images, branchynet_lenet), image_input(28, 1)),
    "branchynet_alexnet": OwnModel(partial(_of_images, branchynet_alexnet), image_input(32, 3)),
    "series_resnet": OwnModel(partial(_series_resnet, 32), series_input(2, 64)),
    "series_resnet_small": OwnModel(partial(_series_resnet, 8), series_input(2, 64)),
    "text_transformer": OwnModel(_text_transformer, text_input()),
    "series_lstm": OwnModel(partial(_of_series, partial(recurrent_stack, "lstm")), series_input(2, 64)),
    "series_gru": OwnModel(partial(_of_series, partial(recurrent_stack, "gru")), series_input(2, 64)),
    "series_transformer": OwnModel(partial(_of_series, transformer_stack), series_input(2, 64)),
    "series_gru_in_time": OwnModel(partial(_of_series, partial(recurrent_in_time, "gru")), series_input(2, 64)),
    "series_lstm_in_time": OwnModel(partial(_of_series, partial(recurrent_in_time, "lstm")), series_input(2, 64)),
    "series_fixed_in_time": OwnModel(partial(_of_series, fixed_in_time), series_input(2, 64)),
    "series_conv_in_time": OwnModel(partial(_of_series, convolutions_in_time), series_input(2, 64)),
    **{kind: OwnModel(partial(_graph_network, kind), graph_input(4, 3, 10)) for kind in GRAPH_MODELS},
}


def build_own(name: str, num_classes: int, inputs: InputSpec) -> tuple[nn.Module, Transform]:
    """Return the model and its transform. Raises BackboneError if the inputs are too small."""
    model = OWN_MODELS[name]
    if inputs.kind == "series":
        channels, length = inputs.size("channel"), inputs.size("time")
        assert channels is not None
        assert length is not None
        return model.build(num_classes, inputs), SeriesTransform(channels, length, masked=is_masked(inputs))
    if inputs.kind == "text":
        return model.build(num_classes, inputs), TextTransform(VOCABULARY, MOST_TOKENS, PAD_ID)
    if inputs.kind == "graphs":
        return model.build(num_classes, inputs), GraphTransform.of(inputs)
    channels = model.inputs.size("channel")
    assert channels is not None
    taken = image_input(size_of(inputs) or size_of(model.inputs), channels)
    size = size_of(taken)
    assert size is not None
    return model.build(num_classes, taken), default_transform(size, channels)
