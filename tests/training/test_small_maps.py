"""Convolutions on small maps as matrix products: the same outputs and gradients, and only where they are meant."""

import pytest
import torch
from torch import nn

import eenas.training.execution as execution_module
from eenas.measurement.profile import MemoryCache
from eenas.training.execution import Execution, choose_execution
from eenas.training.small_maps import SmallMaps, has_small_maps
from eenas.training.spec import TrainingSpec


@pytest.mark.parametrize(
    ("convolution", "size", "replaced"),
    [
        (nn.Conv2d(6, 5, 3, padding=1), (1, 1), True),
        (nn.Conv2d(6, 5, 3, padding=1, bias=False), (2, 2), True),
        (nn.Conv2d(6, 5, 3, padding=1, stride=2), (4, 3), True),
        (nn.Conv2d(6, 5, 3, padding=2, dilation=2), (2, 1), True),
        (nn.Conv2d(6, 5, (1, 3), padding=(0, 1), stride=(2, 1)), (2, 2), True),
        (nn.Conv2d(6, 5, 1, stride=2), (4, 4), True),
        (nn.Conv2d(6, 5, 1, padding=1), (1, 1), False),  # 3 x 3 behind it
        (nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect"), (2, 2), True),
        (nn.Conv2d(6, 6, 3, padding=1, groups=2), (2, 2), False),
        (nn.Conv2d(6, 5, 3, padding="same"), (2, 2), False),
        (nn.Conv2d(6, 5, 3, padding=1), (3, 3), False),
    ],
)
def test_a_product_is_the_convolution(convolution, size, replaced):
    torch.manual_seed(0)
    results = []
    images = torch.randn(4, 6, *size)
    for mode in (None, SmallMaps()):
        x = images.clone().requires_grad_()
        convolution.zero_grad()
        if mode is None:
            y = convolution(x)
        else:
            with mode:
                y = convolution(x)
        y.square().sum().backward()
        results.append([y.detach(), x.grad, *[p.grad.clone() for p in convolution.parameters()]])
    assert mode.count == int(replaced)
    for plain, product in zip(*results, strict=True):
        torch.testing.assert_close(plain, product, rtol=1e-4, atol=1e-5)


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))


def test_small_maps_are_found_and_the_module_is_left_alone():
    module = small()
    module(torch.randn(2, 3, 8, 8))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert has_small_maps(module, torch.randn(2, 3, 8, 8))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not has_small_maps(module[0], torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize(("seconds", "taken"), [(0.5, True), (0.95, False)])
def test_they_are_taken_where_that_gains(monkeypatch, seconds, taken):
    module, cache = small(), MemoryCache()
    module(torch.randn(2, 3, 8, 8))
    times = {False: 1.0, True: seconds}
    monkeypatch.setattr(execution_module, "_step_seconds", lambda module, example, on: times[on.small_maps])
    spec = TrainingSpec(epochs=1, precision="float32", channels_last=False)
    for _ in range(2):  # the second time from the cache
        found = choose_execution(module, torch.randn(4, 3, 8, 8), spec, cache=cache, key="here")
        assert found == Execution(small_maps=taken)


def test_an_execution_uses_them():
    convolution = nn.Conv2d(6, 5, 3, padding=1)
    with Execution(small_maps=True).precision(torch.device("cpu")):
        with SmallMaps() as inner:
            convolution(torch.randn(2, 6, 1, 1))
        assert inner.count == 1
    with Execution(small_maps=True, autocast=torch.bfloat16).precision(torch.device("cpu")):
        assert convolution(torch.randn(2, 6, 1, 1)).dtype == torch.bfloat16
