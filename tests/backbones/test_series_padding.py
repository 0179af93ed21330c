"""The answer of every embedded network for series depends on the points of a series, not on its padded length."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from eenas.backbones.models.own_models import OWN_MODELS, build_own
from eenas.tasks.series.series_input import series_input

NAMES = [name for name, own in OWN_MODELS.items() if own.inputs.kind == "series"]
SHORTEST, LONGEST = 24, (24, 27, 32)
"""Points of the longest series, and lengths that it is padded to; fixed convolutions have equal dilations at all."""


@cache
def network(name: str, length: int, masked: bool = True) -> nn.Module:
    """The network with random weights, biases and statistics, equal at every length."""
    torch.manual_seed(0)
    module, _ = build_own(name, 3, series_input(2 + masked, length, masked=masked))
    if (length, masked) != (SHORTEST, True):
        module.load_state_dict(network(name, SHORTEST).state_dict())
        return module.eval()
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(0.3 * torch.randn_like(value))
                if key.endswith("running_var"):
                    value.copy_(0.5 + torch.rand_like(value))
    return module.eval()


def padded(series: Tensor, length: int) -> Tensor:
    """Series [channels, n] as a batch of one, with zeros up to `length` and its mask."""
    found = torch.zeros(1, 3, length)
    found[0, :2, : series.shape[1]], found[0, 2, : series.shape[1]] = series, 1
    return found


@settings(max_examples=25, deadline=None)
@given(points=st.integers(1, SHORTEST), seed=st.integers(0, 1000), name=st.sampled_from(NAMES))
def test_the_padded_length_does_not_change_the_answer(points: int, seed: int, name: str) -> None:
    series = torch.randn(2, points, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found = [network(name, length)(padded(series, length)) for length in LONGEST]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-4, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(points=st.integers(1, SHORTEST), name=st.sampled_from([name for name in NAMES if "in_time" not in name]))
def test_it_is_the_answer_of_the_network_without_mask_to_the_series_alone(points: int, name: str) -> None:
    series = torch.randn(2, points, generator=torch.Generator().manual_seed(points))
    with torch.no_grad():
        alone = network(name, SHORTEST, masked=False)(series[None])
        torch.testing.assert_close(network(name, SHORTEST)(padded(series, SHORTEST)), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_points_change_the_answer(name: str) -> None:
    series = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, shorter = (network(name, SHORTEST)(padded(each, SHORTEST)) for each in (series, series[:, :8]))
    assert (found - shorter).abs().max() > 1e-4
