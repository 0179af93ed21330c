"""Explanations of a whole network: images and series, measures by exit and class, and bad input."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import eenas
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import InputError
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import small_design


def smallest(*names):
    design = small_design(
        *(Placed(cut_point=name, branch=Fc()) for name in names), backbone="eenas.testing.smallest:smallest_backbone"
    )
    torch.manual_seed(0)
    return eenas.build(design, trust_code=True)


def test_measures_belong_to_the_maps_and_repeat():
    net, task = smallest("0", "2"), smallest_task()
    found = eenas.explain(net, task, samples=20)
    assert found.maps.shape == (20, 3, 8, 8)
    assert len(found.deletion) == 16
    np.testing.assert_array_equal(found.labels, task.test.labels[found.positions])
    np.testing.assert_array_equal(found.targets, found.answers[:, -1])
    known = np.isfinite(found.spearman[:, -1])
    np.testing.assert_allclose(found.spearman[known, -1], 1)
    np.testing.assert_allclose(found.overlap[known, -1], 1)
    again = eenas.explain(net, task, samples=20)
    np.testing.assert_array_equal(found.maps, again.maps)
    table = json.loads(json.dumps(found.to_table(), allow_nan=False))
    assert table == again.to_table()
    assert [each["name"] for each in table["exits"]] == ["0", "2", "final"]
    assert table["exits"][0]["overlap"] == pytest.approx(np.nanmean(found.overlap[:, 0]))
    assert "Agreement with the final exit is not faithfulness" in table["caution"]
    classes = found.by_class()
    assert sum(count for count, *_ in classes.values()) == np.isfinite(found.overlap[:, 0]).sum()
    assert [each[2] for each in classes.values()] == sorted(each[2] for each in classes.values())
    assert len(eenas.explain(net, task).labels) == 60  # all test samples of so small a network


def test_series_have_maps_along_their_length():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], 25)
    series = generator.normal(size=(100, 2, 16)).astype(np.float32) + labels[:, None, None]
    task = eenas.Task.from_arrays("levels", series, labels)
    module = nn.Sequential(
        nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv1d(4, 8, 3, 2, 1), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    design = small_design(Placed(cut_point="0", branch=PoolFc(pool="avg", size=2)), inputs=task.inputs)
    found = eenas.explain(eenas.build(design, backbone=module), task, samples=6)
    assert found.maps.shape == (6, 2, 16)
    assert found.places == ("0", "1")


@pytest.mark.parametrize("samples", [0, -1, True, 2.5])
def test_a_wrong_number_of_samples_is_refused(samples):
    with pytest.raises(InputError, match="samples must be a whole number of at least 1, got"):
        eenas.explain(smallest("0"), smallest_task(), samples=samples)


def test_more_maps_than_memory_is_meant_for_are_refused(monkeypatch):
    monkeypatch.setattr("eenas.networks.explanations.explain.MOST_VALUES", 10 * 2 * 64)
    network = smallest("0")
    assert len(eenas.explain(network, smallest_task()).labels) == 10, "the default keeps the bound"
    assert len(eenas.explain(network, smallest_task(), samples=10).labels) == 10
    with pytest.raises(InputError, match="the maps of 11 samples take too much memory; give at most 10"):
        eenas.explain(network, smallest_task(), samples=11)
