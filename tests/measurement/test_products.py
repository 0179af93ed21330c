"""MACs of operators beside convolutions and matrix products, and the names of what nobody counts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from eenas.backbones.features import FeatureShape
from eenas.measurement.macs import count


class Given(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(*self.parts, x)


@pytest.mark.parametrize(
    ("function", "parts", "macs"),
    [
        (lambda x: x @ torch.ones(8, device=x.device), (), 32 * 8),
        (lambda x: torch.dot(x[0, 0], x[0, 1]).reshape(1, 1), (), 8),
        (lambda x: torch.cdist(x, torch.ones(40, 8, device=x.device)), (), 32 * 40 * 8),
        (lambda part, x: part(x, x), (nn.Bilinear(8, 8, 5, bias=False),), 32 * 5 * 64),
        (lambda x: torch.fft.fft(x + 0j).real, (), 2.5 * 32 * 8 * 3),
        (lambda x: torch.fft.rfft(x).real, (), 2.5 * 32 * 8 * 3 / 2),
        (lambda part, x: part(x)[0], (nn.LSTM(8, 16, batch_first=True),), 32 * 4 * 16 * (8 + 16 + 2)),
    ],
)
def test_counted(function: Callable[..., Tensor], parts: tuple[nn.Module, ...], macs: float) -> None:
    found = count(Given(function, *parts), FeatureShape((32, 8)))
    assert found.macs == macs
    assert found.uncounted == ()


def test_deformable_convolution() -> None:
    class Deformable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset, self.conv = nn.Conv2d(3, 18, 3, padding=1), DeformConv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.conv(x, self.offset(x))
            return made

    assert count(Deformable(), FeatureShape((3, 8, 8))).macs == 64 * (18 * 28 + 4 * 28)


def test_what_is_not_counted_is_named_once() -> None:
    def solved(x: Tensor) -> Tensor:
        square = x[:, :8] + torch.eye(8, device=x.device)
        return torch.linalg.solve(square, torch.linalg.solve(square, x[:, :8]))

    assert count(Given(solved), FeatureShape((32, 8))).uncounted == ("aten._linalg_solve_ex",)
    blurred = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.MaxPool2d(2), nn.Softmax(1))
    assert count(blurred, FeatureShape((3, 8, 8))).uncounted == ()
