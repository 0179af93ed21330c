"""The answers to texts and series depend neither on the padding nor on the other samples of a batch."""

import math

import pytest
import torch
from torch.nn import functional

from eenas.backbones.load import load_backbone
from eenas.backbones.models.series.depth_stacks import recurrent_stack, transformer_stack
from eenas.backbones.models.series_resnet import SeriesResNet
from eenas.branches.fc import Fc
from eenas.branches.registry import FAMILIES
from eenas.branches.tokens.token_conv import TokenConv
from eenas.designs.design import Design, Placed
from eenas.errors import BranchError
from eenas.networks.assembly import build_network
from eenas.policies.kinds.registry import FITTED
from eenas.tasks.series.series_input import series_input
from tests.token_sets import INPUTS, PAD, WORDS, TokenNet

pytestmark = pytest.mark.slow

LENGTHS = (12, 5, 1, 9)
SERIES = series_input(3, 24, masked=True)
NETWORKS = {
    "tokens": TokenNet,
    "first token": lambda: TokenNet(first=True),
    "lstm": lambda: recurrent_stack("lstm", SERIES, 3),
    "resnet": lambda: shifted(SeriesResNet(3, 3, 8, masked=True)),
    "transformer": lambda: transformer_stack(SERIES, 3),
}


def shifted(module: torch.nn.Module) -> torch.nn.Module:
    """The module with normalisation that does not keep zeros."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(part.bias)
            part.running_mean.normal_()
    return module


def batch_of(name: str) -> torch.Tensor:
    """Samples of these lengths."""
    generator = torch.Generator().manual_seed(0)
    if "token" in name:
        batch = torch.full((len(LENGTHS), max(LENGTHS)), PAD)
        for row, length in zip(batch, LENGTHS, strict=True):
            row[:length] = torch.randint(2, WORDS, (length,), generator=generator)
        return batch
    batch = torch.zeros(len(LENGTHS), 3, 2 * max(LENGTHS))
    for row, length in zip(batch, LENGTHS, strict=True):
        row[:2, : 2 * length], row[2, : 2 * length] = torch.randn(2, 2 * length, generator=generator), 1
    return batch


def alone(name: str, batch: torch.Tensor, row: int) -> torch.Tensor:
    """One sample without padding."""
    length = LENGTHS[row]
    return batch[row : row + 1, :length] if "token" in name else batch[row : row + 1, :, : 2 * length]


def longer(name: str, batch: torch.Tensor) -> torch.Tensor:
    return functional.pad(batch, (0, 8), value=PAD if "token" in name else 0)


def built(name: str, *placed: Placed) -> torch.nn.Module:
    torch.manual_seed(0)
    inputs = INPUTS if "token" in name else SERIES
    backbone = load_backbone(NETWORKS[name](), num_classes=3, inputs=inputs)
    design = Design(backbone=backbone.name, num_classes=3, inputs=inputs, branches=placed)
    return build_network(design, backbone).eval()


def branches_of(name: str) -> list[Placed]:
    """A branch of each family that fits the features behind the second cut point of this network."""
    backbone = load_backbone(NETWORKS[name](), num_classes=3, inputs=INPUTS if "token" in name else SERIES)
    point, found = backbone.cut_points[1], []
    for family in FAMILIES.values():
        for pool in ("avg", "max", "mixed") if "pool" in family.sizes else ("",):
            branch = family(**({"pool": pool} if pool else {}))
            try:
                branch.check(point.shape)
                branch.build(point.shape, 3)
            except BranchError:
                continue
            found.append(Placed(point.name, branch))
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_every_family_leaves_out_the_padding(name: str) -> None:
    placed, batch = branches_of(name), batch_of(name)
    assert {"fc", "mlp", "pool_fc", "attention_fc", "token_conv"} <= {each.branch.kind for each in placed}
    for each in placed:
        network = built(name, each)
        with torch.no_grad():
            together = network(batch)
            for one, other in zip(network(longer(name, batch)), together, strict=True):
                assert torch.allclose(one, other, atol=1e-4), each.branch.label()
            for row in range(len(batch)):
                for one, other in zip(network(alone(name, batch, row)), together, strict=True):
                    assert torch.allclose(one[0], other[row], atol=1e-4), (each.branch.label(), LENGTHS[row])


@pytest.mark.parametrize("name", ["tokens", "lstm"])
def test_every_kind_of_policy_answers_a_sample_the_same_in_any_batch(name: str) -> None:
    at, later = ("layers.1", "layers.2") if name == "tokens" else ("layer2", "layer3")
    network, batch = built(name, Placed(at, Fc()), Placed(later, TokenConv())), batch_of(name)
    for kind in FITTED.values():
        for make in kind.shapes(3, (1.0,) * 3 if kind.compares else (), "max_softmax"):
            for limit in (0.0, 0.4, math.inf):
                policy = make(limit, True)
                together = network.predict(batch, policy)
                padded = network.predict(longer(name, batch), policy)
                assert torch.equal(padded.exits, together.exits)
                for row in range(len(batch)):
                    single = network.predict(alone(name, batch, row), policy)
                    assert (single.exits[0], single.classes[0]) == (together.exits[row], together.classes[row]), kind
                    assert torch.allclose(single.logits[0], together.logits[row], atol=1e-4)
