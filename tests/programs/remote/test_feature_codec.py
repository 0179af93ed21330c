"""Codecs of features: each sample alone, zero stays zero, and no value moves by more than half a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from eenas.errors import InputError, ProtocolError
from eenas.programs.remote.feature_codec import CODECS, decode_features, encode_features, encoded_bytes

FLOATS = st.floats(-1e4, 1e4, width=32)
FEATURES = arrays(np.float32, array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4), elements=FLOATS)


@given(FEATURES, st.sampled_from(CODECS))
def test_features_come_back_within_half_a_step(features, codec):
    tensors = encode_features(features, codec)
    found = decode_features(tensors)
    assert (found.dtype, found.shape) == (np.float32, features.shape)
    assert tensors["features"].dtype == {"float32": np.float32, "float16": np.float16}.get(codec, np.int8)
    if codec == "float32":
        np.testing.assert_array_equal(found, features)
        return
    step = np.abs(features) / 1024 + 1e-7 if codec == "float16" else tensors["scale"]
    assert (np.abs(found - features) <= 0.51 * step + 1e-6 * np.abs(features).max()).all()
    np.testing.assert_array_equal(found[features == 0], 0)
    alone = np.concatenate([decode_features(encode_features(each[None], codec)) for each in features])
    np.testing.assert_array_equal(found, alone)
    sent = sum(array.nbytes for array in tensors.values())
    assert sent == len(features) * encoded_bytes(features.shape[1:], codec)


def test_values_beyond_float16_are_limited():
    found = decode_features(encode_features(np.array([[1e30, -1e30, 1.0]], np.float32), "float16"))
    np.testing.assert_array_equal(found, [[65504.0, -65504.0, 1.0]])


def test_a_scale_of_each_sample_may_be_flat():
    tensors = encode_features(np.arange(24, dtype=np.float32).reshape(2, 3, 4), "int8")
    flat = {name: array.reshape(-1) if name != "features" else array for name, array in tensors.items()}
    np.testing.assert_array_equal(decode_features(flat), decode_features(tensors))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"features": None}, "the tensor 'features' is missing"),
        ({"features": np.zeros((2, 3), np.int32)}, "features must be FP32, FP16 or INT8, got int32"),
        ({"scale": None}, "INT8 features need the tensor 'scale'"),
        ({"scale": np.ones((3, 1), np.float32)}, r"scale must be finite, FP32 \[2\] or .* got float32 \[3, 1\]"),
        ({"scale": np.ones((2, 1, 1), np.float32)}, r"got float32 \[2, 1, 1\]"),
        ({"offset": np.ones(2, np.float64)}, r"offset must be finite, FP32 .* got float64 \[2\]"),
        ({"offset": np.full(2, np.inf, np.float32)}, "offset must be finite"),
    ],
)
def test_tensors_that_stand_for_no_features_are_refused(change, match):
    tensors = {**encode_features(np.ones((2, 3), np.float32), "int8"), **change}
    with pytest.raises(ProtocolError, match=match):
        decode_features({name: array for name, array in tensors.items() if array is not None})


def test_an_unknown_codec_is_refused():
    with pytest.raises(InputError, match="unknown codec 'int'; nearest: 'int8'"):
        encode_features(np.ones((2, 3), np.float32), "int")
