"""Series that arrive bit by bit: the answers are those for whole series, and nothing is computed again."""

import numpy as np
import pytest
import torch

import eenas
from eenas.backbones.load import load_backbone
from eenas.backbones.models.series.fixed_convolutions import FixedConvolutions
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.errors import InputError
from eenas.frozen.in_time.fit_in_time import FittedInTime
from eenas.frozen.in_time.harmonic_mean import fit_harmonic_mean
from eenas.networks.assembly import build_network
from eenas.networks.network_stream import NetworkStream
from eenas.policies.policy import Policy
from eenas.tasks.series.series_input import series_input
from eenas.tasks.series.waves import waves


@pytest.fixture(scope="module")
def fitted() -> FittedInTime:
    series, labels = waves(120)
    return eenas.fit_in_time(series, labels, blocks=6, kernels=10, thresholds=2)


@pytest.fixture(scope="module")
def policy(fitted: FittedInTime) -> Policy:
    return fit_harmonic_mean(fitted.held_out)


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return waves(160)[0][120:]


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_a_stream_answers_as_a_prediction_on_whole_series(fitted, policy, series, steps) -> None:
    whole = fitted.network.predict(fitted.network.transform(torch.from_numpy(series).float()), policy)
    length = series.shape[2]
    stream = NetworkStream(fitted.network, policy, len(series))
    rows, classes, exits = np.arange(len(series)), np.full(len(series), -2), np.full(len(series), -2)
    for step in range(1, steps + 1):
        found = stream.feed(series[rows, :, : length * step // steps])
        classes[rows[found.decided]] = found.classes[found.decided]
        exits[rows[found.decided]] = found.exits[found.decided]
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
        rows = rows[~found.decided]
        assert stream.waiting == len(rows)
        if not len(rows):
            break
    np.testing.assert_array_equal(classes, whole.classes.numpy())
    np.testing.assert_array_equal(exits, whole.exits.numpy())
    assert len(set(exits.tolist())) > 1


def test_nothing_is_computed_again_and_nothing_ahead_is_read(fitted, policy, series, monkeypatch) -> None:
    read: list[int] = []
    step = FixedConvolutions.step

    def counted(self, values, state):
        read.append(values.shape[0] * values.shape[2])
        return step(self, values, state)

    monkeypatch.setattr(FixedConvolutions, "step", counted)
    stream = NetworkStream(fitted.network, policy, len(series))
    answered, rows = 0, np.arange(len(series))
    for points in range(1, series.shape[2] + 1):
        found = stream.feed(series[rows, :, :points])
        answered += int(found.points[found.decided].sum())
        rows = rows[~found.decided]
        if not len(rows):
            break
    assert sum(read) == answered


def test_before_the_first_exit_there_is_no_answer(fitted, policy, series) -> None:
    stream = NetworkStream(fitted.network, policy, len(series))
    found = stream.feed(series[:, :, :3])
    assert not found.decided.any()
    assert set(found.classes.tolist()) == set(found.exits.tolist()) == {-1}
    assert set(found.points.tolist()) == {0}
    assert stream.waiting == len(series)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], "goes on with the 40 series"),
        (lambda x: x[:, :1], "2 channels"),
        (lambda x: x[:, 0], "2 channels"),
        (lambda x: x[:, :, :2], "at least 3, got 2"),
        (lambda x: np.where(x == x[0, 0, 1], np.nan, x), "finite numbers"),
    ],
)
def test_series_that_do_not_go_on_are_refused(fitted, policy, series, change, message) -> None:
    stream = NetworkStream(fitted.network, policy, len(series))
    stream.feed(series[:, :, :3])
    with pytest.raises(InputError, match=message):
        stream.feed(change(series[:, :, :4]))


def test_a_network_without_exits_in_time_is_refused(policy) -> None:
    backbone = load_backbone("series_gru", num_classes=4, inputs=series_input(2, 64))
    point = backbone.cut_points[0].name
    design = Design(
        backbone=backbone.name, num_classes=4, inputs=backbone.transform.inputs, branches=(Placed(point, PoolFc()),)
    )
    with pytest.raises(InputError, match=r"exits in time .* eenas.fit_in_time"):
        NetworkStream(build_network(design, backbone), policy, 1)
