"""The channels that a module takes, and layers that take their sizes from what they see first."""

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.channels import channels_of, initialise, replace_stem
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.errors import BackboneError
from eenas.tasks.images.image_input import image_input

from ..styles import FiveDimensions, HeadFirst, Lazy


class AnyChannels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None].expand(-1, 4)


def test_the_channels_of_the_task_come_first() -> None:
    assert channels_of(AnyChannels(), 5, (8, 8)) == 5
    assert channels_of(FiveDimensions(), 3, (32, 32)) == 3
    assert channels_of(FiveDimensions(), 1, (32, 32)) == 3
    assert channels_of(HeadFirst(), 1, (32, 32)) == 3, "the first layer that runs, not the first that was declared"


def test_where_nothing_runs_the_first_layer_tells() -> None:
    small = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 9), nn.Flatten(), nn.Linear(4, 4))
    assert channels_of(small, 3, (6, 6)) == 2


def test_lazy_layers_are_given_their_sizes() -> None:
    module = Lazy()
    initialise(module, torch.zeros(2, 3, 32, 32))
    assert module.fc.in_features == 16 * 8 * 8
    assert module.training
    assert load_backbone(Lazy(), num_classes=4, inputs=image_input(32, 1)).transform.channels == 1


def test_a_stem_for_other_channels_gives_the_same_on_grey() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    grey = torch.randn(2, 1, 8, 8)
    expected = module(grey.expand(-1, 3, -1, -1))
    replace_stem(module, 6, torch.zeros(2, 3, 8, 8), "net")
    assert module[0].in_channels == 6
    assert torch.allclose(module(grey.expand(-1, 6, -1, -1)), expected, atol=1e-6)
    with pytest.raises(BackboneError, match="net: cannot be built for 5 channels"):
        replace_stem(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), 5, torch.zeros(2, 3, 2, 2), "net")


@pytest.mark.parametrize("name", ["test_resnet", "torchvision:shufflenet_v2_x0_5"])
def test_named_models_for_other_channels(name: str) -> None:
    found = load_backbone(name, num_classes=4, inputs=image_input(32, 5))
    assert found.example().shape[1] == 5
    assert found.transform.mean == (found.transform.mean[0],) * 5
    assert load_backbone(name, num_classes=4, inputs=image_input(32, 1)).transform.channels == 3, "grey is repeated"


def test_channels_and_statistics_are_settings() -> None:
    spec = BackboneSpec("test_resnet", channels=1, mean=0.1, std=(0.2,))
    found = load_backbone(spec, num_classes=4, input_size=32)
    assert (found.transform.channels, found.transform.mean, found.transform.std) == (1, (0.1,), (0.2,))
    with pytest.raises(BackboneError, match=r"takes 3 channels, got backbone.channels = 2"):
        load_backbone(BackboneSpec("cifar_resnet20", channels=2), num_classes=4)
    with pytest.raises(BackboneError, match="mean must hold one number for each of 3 channels"):
        load_backbone(BackboneSpec("cifar_resnet20", mean=(0.1, 0.2)), num_classes=4)
