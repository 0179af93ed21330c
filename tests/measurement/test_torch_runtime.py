"""The runtime torch: in which memory format it times, what runs beside a branch, and what its decisions are."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.memory_format import lay_out
from eenas.branches.fc import Fc
from eenas.measurement.latency import LatencySpec
from eenas.measurement.torch_runtime import TorchRuntime

CPU = torch.device("cpu")
QUICK = LatencySpec(runtime="torch", warmup=1, min_repeats=2, max_repeats=3, seconds=0.1)
SEEN: list[bool] = []


class Noting(nn.Module):
    """A convolution that notes whether its weights are in channels-last order."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        SEEN.append(self.conv.weight.is_contiguous(memory_format=torch.channels_last))
        found: Tensor = self.conv(x)
        return found


@pytest.fixture
def backbone() -> Iterator[Backbone]:
    module = nn.Sequential(Noting(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)))
    found = load_backbone(module, num_classes=4, input_size=16)
    SEEN.clear()
    yield found
    SEEN.clear()


def test_a_profile_is_taken_in_the_memory_format_of_predict(backbone: Backbone) -> None:
    chain = Chain.built_from(backbone.module, backbone.example(), ["0"])
    SEEN.clear()
    found = TorchRuntime().time_backbone(backbone, chain, CPU, QUICK)
    assert len(SEEN) > 3
    assert all(SEEN)
    assert found.joints is not None
    assert found.joints.cut_ms == (0.0,)
    for module in (backbone.module, chain):
        weight = next(module.parameters())
        assert not weight.is_contiguous(memory_format=torch.channels_last), "neither is changed"


def test_a_branch_runs_beside_the_backbone(backbone: Backbone) -> None:
    shape = backbone.cut_points[0].shape
    alone, beside = TorchRuntime(), TorchRuntime(backbone)
    assert alone.time_branch(Fc(), shape, 4, CPU, QUICK).reference_ms is None
    assert not SEEN
    found = beside.time_branch(Fc(), shape, 4, CPU, QUICK)
    assert found.reference_ms is not None
    assert found.reference_ms > 0
    SEEN.clear()  # the way to the branch was cut, which is not timed
    beside.time_branch(Fc(), shape, 4, CPU, QUICK)
    assert SEEN
    assert all(SEEN)
    assert alone.conditions(CPU, QUICK) != beside.conditions(CPU, QUICK)


def test_weights_are_laid_out_in_place_and_keep_their_values() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(4, 4))
    before = [(id(each), each.detach().clone()) for each in module.parameters()]
    with torch.inference_mode():
        lay_out(module)
    for (identity, value), parameter in zip(before, module.parameters(), strict=True):
        assert id(parameter) == identity
        assert torch.equal(value, parameter)
        assert not parameter.is_inference()
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    lay_out(module, torch.contiguous_format)
    assert module[0].weight.is_contiguous()
