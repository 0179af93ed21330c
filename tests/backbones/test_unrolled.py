"""Networks with exits in time: nothing of the future is read, blocks give what the whole series gives, costs add up."""

from itertools import pairwise

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.load import load_backbone
from eenas.backbones.models.series.fixed_convolutions import FixedConvolutions
from eenas.backbones.models.series.time_layers import CausalConvolution, RecurrentLayer, RunningPool, TimeLayer
from eenas.backbones.models.series.unrolled import TimeStep, Unrolling, block_ends, unrolled
from eenas.errors import BackboneError
from eenas.measurement.macs import count_macs
from eenas.tasks.series.series_input import series_input

LENGTH = 23
KINDS = ("gru", "lstm", "rnn", "conv", "fixed")


def layer_of(kind: str, inputs: int, outputs: int = 6) -> TimeLayer:
    """A small layer of any kind."""
    if kind == "conv":
        return CausalConvolution(inputs, outputs, dilation=2)
    if kind == "fixed":
        layer = FixedConvolutions(inputs, LENGTH, kernels=4, thresholds=2)
        layer.fit(torch.randn(7, inputs, LENGTH))
        return layer
    return RecurrentLayer(inputs, outputs, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_gives_the_same_in_any_blocks(kind: str) -> None:
    torch.manual_seed(0)
    layer, x = layer_of(kind, 2), torch.randn(3, 2, LENGTH)
    with torch.no_grad():
        whole, last = layer(x, torch.zeros(3, layer.memory))
        state, parts = torch.zeros(3, layer.memory), []
        for start, end in pairwise((0, 1, 5, 6, LENGTH)):
            found, state = layer(x[:, :, start:end], state)
            parts.append(found)
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_depth", [False, True])
def test_what_is_read_at_an_exit_knows_only_the_points_so_far(kind: str, in_depth: bool) -> None:
    torch.manual_seed(0)
    layers = [layer_of(kind, 2), layer_of(kind, layer_of(kind, 2).outputs)]
    pool = ("positive",) if kind == "fixed" else ("last", "mean", "max")
    how = Unrolling(channels=2, ends=block_ends(LENGTH, 4), in_depth=in_depth, pool=pool)
    module = unrolled(layers, 3, how).eval()
    x = torch.randn(2, 2, LENGTH)
    steps = [part for part in module if isinstance(part, TimeStep)]
    with torch.no_grad():
        packed = x
        for step in steps[:-1]:
            packed = step(packed)
            assert packed.shape[1] == step.columns
            changed = x.clone()
            changed[:, :, step.points :] = 100.0
            for before in steps[: steps.index(step) + 1]:
                changed = before(changed)
            known = step.columns - (LENGTH - step.points) * 2
            torch.testing.assert_close(changed[:, :known], packed[:, :known], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(packed[:, known:], x[:, :, step.points :].transpose(1, 2).flatten(1))


def test_pools_are_those_of_the_points_so_far() -> None:
    found = torch.randn(3, 4, 9)
    pool, state, count = RunningPool(4, ("max", "last", "mean", "positive")), torch.zeros(3, 16), torch.zeros(3, 1)
    for start, end in pairwise((0, 2, 3, 9)):
        state = pool(found[:, :, start:end], None, state, count)
        count = count + (end - start)
    expected = torch.cat([found[:, :, -1], found.mean(2), found.amax(2), (found > 0).float().mean(2)], dim=1)
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize("masked", [False, True])
def test_limits_are_counted_as_one_by_one(masked: bool) -> None:
    torch.manual_seed(0)
    found, limits = torch.randn(3, 4, 9), torch.nn.Parameter(torch.randn(2, 4))
    known = torch.ones(3, 1, 9)
    if masked:
        known[1, :, 4:], known[2, :, 1:] = 0.0, 0.0
    pool, state, count = RunningPool(4, ("positive",), limits), torch.zeros(3, 8), torch.zeros(3, 1)
    for start, end in pairwise((0, 2, 3, 9)):
        mask = known[:, :, start:end] if masked else None
        state = pool(found[:, :, start:end], mask, state, count)
        count = count + known[:, :, start:end].sum(dim=2)
    for n, length in enumerate(known.sum(dim=(1, 2)).int().tolist()):
        for k in range(2):
            for channel in range(4):
                points = found[n, channel, :length]
                above, below = (points > limits[k, channel]).float(), (points < limits[k, channel]).float()
                expected = above.mean() - below.mean()
                torch.testing.assert_close(state[n, k * 4 + channel], expected.detach(), atol=1e-6, rtol=1e-5)


def test_fixed_convolutions_are_those_of_pytorch() -> None:
    torch.manual_seed(0)
    layer, x = layer_of("fixed", 3), torch.randn(2, 3, LENGTH)
    found, _ = layer.step(x, torch.zeros(2, layer.memory))
    expected = [
        torch.nn.functional.conv1d(torch.nn.functional.pad(x, (8 * dilation, 0)), weights, dilation=dilation)
        for weights, dilation in zip(layer.weights, layer.dilations, strict=True)
    ]
    torch.testing.assert_close(found, torch.cat(expected, dim=1), atol=1e-5, rtol=1e-5)
    assert len(layer.dilations) == 2


def test_a_shorter_series_in_a_padded_batch_is_read_to_its_end() -> None:
    torch.manual_seed(0)
    layers = [RecurrentLayer(2, 5, "lstm"), CausalConvolution(5, 5)]
    module = unrolled(layers, 3, Unrolling(channels=3, ends=(4, 8, 12, 16), masked=True)).eval()
    x = torch.randn(1, 2, 16)
    logits = []
    for filling in (0.0, 7.0):
        padded = torch.cat([x, torch.ones(1, 1, 16)], dim=1)
        padded[:, :2, 6:], padded[:, 2, 6:] = filling, 0.0
        logits.append(module(padded))
    torch.testing.assert_close(logits[0], logits[1])
    short = unrolled(layers, 3, Unrolling(channels=2, ends=(6,))).eval()
    short.final.head = module.final.head
    torch.testing.assert_close(short(x[:, :, :6]), logits[0], atol=1e-5, rtol=1e-5)


def test_cut_points_carry_the_state_and_know_what_is_seen() -> None:
    backbone = load_backbone("series_gru_in_time", num_classes=4, inputs=series_input(2, 64))
    points = backbone.cut_points
    assert [point.name for point in points] == [f"time{index}" for index in range(1, 20)]
    assert [point.seen for point in points] == [round(64 * index / 20) / 64 for index in range(1, 20)]
    assert {point.shape.channels for point in points} == {3 * 32}
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in points])
    x = torch.randn(4, 2, 64)
    with torch.no_grad():
        torch.testing.assert_close(chain(x), backbone.module(x))
    parts = [
        count_macs(chain.segments[0], x),
        *(count_macs(chain.segments[k + 1], p.shape) for k, p in enumerate(points)),
    ]
    assert sum(parts) == count_macs(backbone.module, x)
    per_point = 3 * 32 * (2 + 32 + 2) + 3 * 32 * (32 + 32 + 2)  # three gates, with two biases each
    assert sum(parts) == 64 * per_point + 96 * 4 + 4


@pytest.mark.parametrize("in_depth", [False, True])
def test_blocks_between_two_exits_are_read_as_one(in_depth: bool) -> None:
    torch.manual_seed(0)
    layers = [RecurrentLayer(1, 4), CausalConvolution(4, 4)]
    how = Unrolling(channels=1, ends=block_ends(LENGTH, 6), in_depth=in_depth)
    module, x = unrolled(layers, 3, how).eval(), torch.randn(4, 1, LENGTH)
    names = ["time2_layer1", "time4_layer2"] if in_depth else ["time2", "time5"]
    chain = Chain.built_from(module, x, names)
    with torch.no_grad():
        torch.testing.assert_close(chain(x), module(x))
    assert [len(segment) for segment in chain.segments] == ([3, 5, 4] if in_depth else [1, 1, 1])
    assert {id(part) for part in chain.parameters()} == {id(part) for part in module.parameters()}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: block_ends(4, 5), "has 1 to 4 blocks, got 5"),
        (lambda: Unrolling(channels=1, ends=(3, 3)), "rising points"),
        (lambda: Unrolling(channels=1, ends=(3,), masked=True), "a channel beside its mask"),
        (lambda: unrolled([], 3, Unrolling(channels=1, ends=(3,))), "at least one layer"),
        (lambda: RunningPool(3, ("sum",)), "pool must be some of last"),
        (lambda: RecurrentLayer(2, 3, "tcn"), "cell must be one of gru, lstm, rnn, got 'tcn'"),  # type: ignore[arg-type]
        (lambda: FixedConvolutions(2, 9, kernels=85), "kernels must be 1 to 84"),
    ],
)
def test_what_no_network_over_time_has_is_refused(make, message) -> None:
    with pytest.raises(BackboneError, match=message):
        make()
