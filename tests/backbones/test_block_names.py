"""Names of cut points: the block out of all modules that give one tensor."""

import pytest
from torch import nn

from eenas.backbones.models.block_names import block_name, has_weights
from eenas.backbones.models.cifar_resnet import BasicBlock


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())


class Stage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 4, 1))


class Numbered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b1, self.b2 = BasicBlock(4, 4, 1), BasicBlock(4, 4, 1)


@pytest.mark.parametrize(
    ("parts", "inner", "chosen"),
    [
        ({"layer2": nn.Sequential(BasicBlock(4, 4, 1))}, "layer2.0.bn2", "layer2.0"),
        ({"layers": nn.Sequential(Stage(), Stage())}, "layers.1.blocks.1.bn2", "layers.1.blocks.1"),
        ({"s1": Numbered()}, "s1.b2.bn2", "s1.b2"),
        ({"first": layers()}, "first.1", "first"),
        ({"features": nn.Sequential(*layers(), *layers())}, "features.3", "features.3"),
        ({"blocks": nn.Sequential(nn.Sequential(layers(), layers()))}, "blocks.0.1.1", "blocks.0.1"),
    ],
)
def test_the_block_is_named(parts: dict[str, nn.Module], inner: str, chosen: str) -> None:
    modules = dict(nn.ModuleDict(parts).named_modules())
    steps = inner.split(".")
    names = [".".join(steps[:count]) for count in range(len(steps), 0, -1)]
    assert block_name(names, modules) == chosen
    assert block_name([*names, "dropout"], modules | {"dropout": nn.Identity()}) == chosen


def test_what_has_weights() -> None:
    assert has_weights(nn.Conv2d(1, 1, 1))
    assert has_weights(nn.Linear(1, 1))
    assert not has_weights(nn.BatchNorm2d(4))
    assert not has_weights(layers())  # its parts have
