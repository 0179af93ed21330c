"""Networks with exits in time in closed form: leaving one out is what refitting gives, tables, accuracy over time."""

import numpy as np
import pytest
import torch

import eenas
from eenas.errors import BackboneError, TaskError
from eenas.frozen.in_time.ridge import fit_ridge
from eenas.policies.fit import Fitting
from eenas.tasks.series.waves import waves


def test_leaving_one_out_is_what_fitting_without_it_gives() -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(12, 5)), np.arange(12) % 3
    found = fit_ridge(features, labels, 3)
    # with the standardisation of all samples, as the formula has it
    scaled = (features - features.mean(0)) / features.std(0) / np.sqrt(5)
    for left in range(12):
        kept = np.arange(12) != left
        x, y = scaled[kept], np.where(labels[kept, None] == np.arange(3), 1.0, -1.0)
        middle = x.mean(0)
        weights = np.linalg.solve(
            (x - middle).T @ (x - middle) + found.penalty * np.eye(5), (x - middle).T @ (y - y.mean(0))
        )
        np.testing.assert_allclose((scaled[left] - middle) @ weights + y.mean(0), found.left_out[left], atol=1e-8)


def test_a_network_over_time_is_fitted_and_gets_better_with_time() -> None:
    series, labels = waves(240)
    fitted = eenas.fit_in_time(series[:160], labels[:160], blocks=8, kernels=20)
    table = fitted.table(series[160:], labels[160:])
    assert table.exits == (*(f"time{index}" for index in range(1, 8)), "final")
    correct = table.correct().mean(axis=0)
    assert correct[-1] > 0.8
    assert correct[-1] > correct[0] + 0.03
    assert abs(fitted.held_out.correct().mean(axis=0)[-1] - correct[-1]) < 0.15
    np.testing.assert_allclose(fitted.costs["earliness"], np.arange(1, 9) / 8)
    assert (np.diff(fitted.costs["macs"]) > 0).all()
    x = fitted.network.transform(torch.from_numpy(series[160:]))
    policy = Fitting(fitted.held_out).policy({"earliness": 0.5})
    found = fitted.network.predict(x, policy)
    leave, _ = policy.decide(0, table.logits[:, 0], policy.start(len(table.labels)))
    np.testing.assert_array_equal(found.exits.numpy() == 0, leave)


def test_series_of_different_length_are_read_to_their_own_end() -> None:
    series, labels = waves(200)
    lengths = np.random.default_rng(0).integers(16, 65, size=200)
    some = [each[:, :length] for each, length in zip(series, lengths, strict=True)]
    fitted = eenas.fit_in_time(some[:140], labels[:140], blocks=4, kernels=10, thresholds=3)
    table = fitted.table(some[140:], labels[140:])
    assert table.correct().mean(axis=0)[-1] > 0.7
    early = lengths[140:] <= 16
    logits = fitted.logits([some[140 + int(np.argmin(lengths[140:]))]])
    assert early.any()
    longer = np.concatenate([series[140:], series[140:]], axis=2)
    np.testing.assert_array_equal(fitted.logits(longer), fitted.logits(series[140:]))
    np.testing.assert_allclose(logits[0], table.logits[int(np.argmin(lengths[140:]))], atol=1e-5)
    with pytest.raises(TaskError, match="series of different length, but the network was made for others"):
        eenas.fit_in_time(series[:140], labels[:140], blocks=2, kernels=2).table(some[140:], labels[140:])


@pytest.mark.parametrize(
    ("series", "labels", "message"),
    [
        (np.zeros((4, 8)), [0, 1, 0], "as many, got 4 and 3"),
        (np.zeros((4, 8)), [0, 0, 0, 0], "at least two classes"),
        (np.full((4, 8), np.nan), [0, 1, 0, 1], "series must have a point in every series, got none in series 0"),
        (np.where(np.arange(8) == 3, np.nan, np.eye(8)), [0, 1] * 4, "finite numbers, got NaN in sample 0, channel 0"),
        (np.where(np.arange(8) < 2, np.nan, np.eye(8)), [0, 1] * 4, "finite numbers, got NaN in sample 0, channel 0"),
        ([np.zeros((1, 8)), np.zeros((2, 8))], [0, 1], "differ in channels"),
    ],
)
def test_series_that_are_no_task_are_refused(series, labels, message) -> None:
    with pytest.raises(TaskError, match=message):
        eenas.fit_in_time(series, np.array(labels))


def test_a_series_of_one_point_has_no_exits_in_time() -> None:
    series, labels = np.arange(40.0)[:, None, None], np.arange(40) % 2
    with pytest.raises(BackboneError, match="at least 2 points and at least 2 blocks, got 1 and 20"):
        eenas.fit_in_time(series, labels)
    with pytest.raises(BackboneError, match="at least 2 blocks, got 8 and 1"):
        eenas.fit_in_time(np.random.default_rng(0).normal(size=(40, 1, 8)), labels, blocks=1)
    some = [each[:, : 1 if index % 5 == 0 else 8] for index, each in enumerate(waves(40)[0])]
    fitted = eenas.fit_in_time(some, waves(40)[1], blocks=2, kernels=6, thresholds=2)
    assert np.isfinite(fitted.logits([some[0]])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 2.5}, "blocks must be a whole number from 0 to .* got 2.5"),
        ({"kernels": "4"}, "kernels must be a whole number from 0 to .* got '4'"),
        ({"thresholds": True}, "thresholds must be a whole number from 0 to .* got True"),
        ({"seed": 1 << 70}, "seed must be a whole number from 0 to .* got 1180591620717411303424"),
        ({"classes": 3}, "classes must be a list of names"),
        ({"classes": ("a",)}, "labels holds the label 3, but the labels of 1 class end at 0; give 4 names"),
        ({"labels": np.empty(0, dtype=np.int64)}, "series and labels must be as many, got 24 and 0; give each a label"),
        ({"labels": []}, "series and labels must be as many, got 24 and 0"),
    ],
)
def test_options_that_are_none_are_refused(options, message) -> None:
    series, labels = waves(24)
    with pytest.raises(TaskError, match=message):
        eenas.fit_in_time(series, **{"labels": labels, **options})


def test_classes_may_be_an_array() -> None:
    series, labels = waves(24)
    fitted = eenas.fit_in_time(series, labels, blocks=2, kernels=2, classes=np.array(["a", "b", "c", "d"]))
    assert fitted.network.classes == ("a", "b", "c", "d")
