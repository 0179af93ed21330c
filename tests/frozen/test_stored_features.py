"""Features on disk in batches of different lengths: read back as they were, with zeros behind shorter ones."""

import numpy as np
import pytest
import torch

from eenas.frozen.feature_cache import FeatureCache
from eenas.frozen.stored_features import StoredFeatures, batches_of, merged

LENGTHS = (5, 8, 8, 3)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features", 10**6, pytest.fail)


def parts():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, length, 3, generator=generator).half().float() for length in LENGTHS]


def test_batches_of_different_lengths_come_back(cache):
    with cache.stream("ab", 16) as stream:
        for part in parts():
            assert torch.equal(stream.write({"x": part})["x"], part)
    again = cache.stream("ab", 16)
    assert again.holds(["x"])
    for part in parts():
        assert torch.equal(again.read(["x"], 4, torch.device("cpu"))["x"], part)


def test_other_batches_are_padded_with_zeros(cache):
    with cache.stream("ab", 16) as stream:
        for part in parts():
            stream.write({"x": part})
    again = cache.stream("ab", 16)
    assert again.holds(["x"])
    again.resume_at(2)
    found = again.read(["x"], 5, torch.device("cpu"))["x"]
    first, second = parts()[:2]
    assert found.shape == (5, 8, 3)
    assert torch.equal(found[:2, :5], first[2:])
    assert found[:2, 5:].eq(0).all()
    assert torch.equal(found[2:], second[:3])


def test_neighbours_of_one_shape_are_one_batch():
    assert merged([(4, 5, 3), (4, 5, 3), (2, 8, 3)]) == [(8, 5, 3), (2, 8, 3)]
    assert batches_of({"shape": [8, 5, 3]}) == [(8, 5, 3)]
    assert batches_of({"batches": [[8, 5, 3], [2, 8, 3]]}) == [(8, 5, 3), (2, 8, 3)]


def test_a_file_of_another_size_is_refused(tmp_path):
    np.zeros(7, dtype=np.float16).tofile(tmp_path / "x")
    with pytest.raises(ValueError, match="has 7 values instead of 8"):
        StoredFeatures(tmp_path / "x", [(4, 2)])


@pytest.mark.parametrize("exact", [True, False])
def test_numbers_of_nodes_stay_exact_where_that_is_asked_for(cache, exact):
    numbers = torch.arange(2040.0, 2060.0).reshape(4, 5, 1)
    with cache.stream("ab", 4, exact=exact) as stream:
        written = stream.write({"x": numbers})["x"]
    again = cache.stream("ab", 4, exact=exact)
    assert again.holds(["x"])
    assert torch.equal(again.read(["x"], 4, torch.device("cpu"))["x"], written)
    assert torch.equal(written, numbers) == exact


def test_exact_streams_make_room_too(tmp_path):
    cache = FeatureCache(tmp_path / "features", 100, pytest.fail)
    for key in ("ab", "cd"):
        with cache.stream(key, 4, exact=True) as stream:
            stream.write({"x": torch.ones(4, 5)})
    assert [file.name for file in cache.folder.glob("*.f*")] == ["cd-x.f32"]
