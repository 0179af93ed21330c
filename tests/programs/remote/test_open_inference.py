"""The wire format of the Open Inference Protocol: both ways without loss, and damage refused in one line."""

import json
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eenas.errors import ProtocolError
from eenas.programs.remote.open_inference import (
    HEADER_LENGTH,
    InferenceRequest,
    InferenceResponse,
    decode_inference_request,
    decode_inference_response,
    decode_protocol_error,
    encode_inference_request,
    encode_inference_response,
    encode_protocol_error,
    parse_header_length,
)
from eenas.programs.remote.tensors import DATATYPES
from tests.fuzzing import check_one_line, examples, mutated_bytes, mutated_table

ELEMENTS = {
    "f": {"allow_nan": False, "allow_infinity": False},
    "u": {"max_value": 255},  # integers of JSON have at most 63 bits
}
ANY_ARRAY = st.sampled_from(sorted(DATATYPES)).flatmap(
    lambda name: arrays.arrays(
        DATATYPES[name],
        arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
        elements=ELEMENTS.get(DATATYPES[name].kind),
    )
)
TENSORS = st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), ANY_ARRAY, max_size=4)
PARAMETERS = st.dictionaries(
    st.sampled_from(["context", "timeout", "é"]),
    st.booleans() | st.integers(-5, 5) | st.text(st.characters(codec="utf-8"), max_size=5),
)
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
VALID = encode_inference_request(
    InferenceRequest(
        inputs={"x": X, "mask": np.array([True, False])},
        outputs=("classes",),
        binary_outputs=frozenset({"classes"}),
        id="7",
        parameters={"context": "fog"},
    )
)
AS_JSON = json.loads(encode_inference_request(InferenceRequest(inputs={"x": X}), binary=False).data)


def same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        assert array.shape == other[name].shape
        np.testing.assert_array_equal(array, other[name])


def refused(body, header_length=None):
    with pytest.raises(ProtocolError) as caught:
        decode_inference_request(body, header_length)
    return str(caught.value)


def table(**changes):
    entry = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2], **changes}
    return json.dumps({"inputs": [{key: value for key, value in entry.items() if value is not None}]}).encode()


@given(tensors=TENSORS, parameters=PARAMETERS, binary=st.booleans(), wanted=st.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_requests_return_as_they_were_sent(tensors, parameters, binary, wanted):
    request = InferenceRequest(
        inputs=tensors,
        outputs=("logits", "exits") if wanted else (),
        binary_outputs=frozenset({"exits"}) if wanted else frozenset(),
        id="abc",
        parameters=parameters,
    )
    body = encode_inference_request(request, binary=binary)
    found = decode_inference_request(body.data, body.header_length)
    same(request.inputs, found.inputs)
    assert (found.outputs, found.binary_outputs, found.id) == (request.outputs, request.binary_outputs, "abc")
    assert dict(found.parameters) == parameters


@given(tensors=TENSORS, parameters=PARAMETERS, binary=st.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_responses_return_as_they_were_sent(tensors, parameters, binary):
    response = InferenceResponse(outputs=tensors, model="m", version="1", id="2", parameters=parameters)
    body = encode_inference_response(response, frozenset(tensors) if binary else frozenset())
    found = decode_inference_response(body.data, body.header_length)
    same(response.outputs, found.outputs)
    assert (found.model, found.version, found.id, dict(found.parameters)) == ("m", "1", "2", parameters)


def test_all_outputs_can_be_asked_for_as_bytes():
    body = encode_inference_request(InferenceRequest(inputs={"x": X}, all_binary=True))
    assert decode_inference_request(body.data, body.header_length).all_binary
    body = encode_inference_request(InferenceRequest(inputs={"x": X}, all_binary=True, outputs=("a",)))
    assert decode_inference_request(body.data, body.header_length).binary_outputs == {"a"}


def test_bytes_are_little_endian_aligned_and_described_by_headers():
    body = encode_inference_request(InferenceRequest(inputs={"x": X.astype(">f4")}))
    assert body.header_length is not None
    assert body.header_length % 8 == 0
    assert body.headers == {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(body.header_length)}
    assert body.data[body.header_length :] == X.astype("<f4").tobytes()
    assert encode_inference_request(InferenceRequest(inputs={}), binary=True).headers == {
        "Content-Type": "application/json"
    }
    assert parse_header_length("12") == 12
    assert parse_header_length(None) is None


def test_arrays_at_odd_places_are_aligned():
    text = json.dumps(
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}]}
    )
    for spaces in range(4):
        head = (text + " " * spaces).encode()
        found = decode_inference_request(head + np.array([1, 2], "<f4").tobytes(), len(head)).inputs["x"]
        assert found.flags.aligned
        assert found.tolist() == [1, 2]


def test_json_data_can_be_flat_nested_or_empty():
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4.0]]):
        assert decode_inference_request(table(shape=[2, 2], data=data)).inputs["x"].tolist() == [[1, 2], [3, 4]]
    assert decode_inference_request(table(shape=[0, 3], data=[])).inputs["x"].shape == (0, 3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "inputs must be a list of at most 64 objects"),
        (b'{"inputs": [1]}', "inputs must be a list of at most 64 objects"),
        (b'{"inputs": []} {}', "not valid JSON"),
        (table(name=""), "must have a name"),
        (table(datatype="BYTES"), "datatype must be one of BOOL, INT8"),
        (table(datatype=[]), "datatype must be one of"),
        (table(shape=[-1]), "shape must be a list"),
        (table(shape=[]), "shape must be a list"),
        (table(shape=[True]), "shape must be a list"),
        (table(shape=[2**40]), "shape must be a list"),
        (table(shape=[2] * 17), "shape must be a list"),
        (table(shape=[3]), r"shape must be that of data, \[2\], got \[3\]"),
        (table(shape=[2**31 - 1] * 9), "shape must be that of data"),
        (table(shape=[2, 2], data=[[1, 2, 3, 4]]), "shape must be that of data"),
        (table(data=None), "data must be a list"),
        (table(data=[[1], [2, 3]]), "data must be a list of numbers"),
        (table(data=["a", "b"]), "data must be FP32"),
        (table(data=[[1], ["a"]]), "data must be FP32, got texts"),
        (table(data=[], shape=[0, *[2**31 - 1] * 3]), "too large for an empty array"),
        (table(data=[True, False]), "data must be FP32"),
        (table(datatype="INT8", data=[1.5, 2]), "data must be INT8"),
        (table(datatype="INT8", data=[1, 200]), r"must be in \[-128, 127\]"),
        (table(datatype="UINT8", data=[-1, 200]), r"must be in \[0, 255\]"),
        (table(datatype="BOOL", data=[0, 1]), "data must be BOOL"),
        (table(parameters=[1]), "parameters must be an object"),
        (table(parameters={"a": []}), "parameters must be an object"),
        (table(parameters={"shared_memory_region": "a"}), "shared_memory_region is not supported"),
        (table(parameters={"binary_data_size": 8}), "binary_data_size must be"),
        (table(data=None, parameters={"binary_data_size": 8}), "at most the 0 bytes left"),
        (b'{"inputs": [], "outputs": [{"name": "a"}, {"name": "a"}]}', "a name of its own"),
        (b'{"inputs": [], "outputs": [{"name": "a", "parameters": {"classification": 3}}]}', "not supported"),
        (b'{"inputs": [], "outputs": [{"name": "a", "parameters": {"binary_data": 3}}]}', "true or false"),
        (b'{"inputs": [], "parameters": {"binary_data_output": 3}}', "true or false"),
        (b'{"inputs": [], "id": 3}', "id must be a text"),
    ],
)
def test_malformed_requests_are_refused(body, said):
    assert re.search(said, refused(body))


def test_texts_take_no_more_memory_than_they_have():
    data = ["a" * 1_000_000, *["b"] * 1000]  # 4 GB as an array of texts
    tracemalloc.start()
    try:
        assert "got texts" in refused(table(data=data))
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_sizes_of_bytes_are_checked_before_use():
    body, length = VALID.data, VALID.header_length
    assert "belong to no tensor" in refused(body + b"1", length)
    assert "bytes left in the body" in refused(body[:-1], length)
    assert "at most the" in refused(body, len(body) + 1)
    assert "bytes of BOOL" in refused(body[:-1] + b"\x07", length)
    assert "needs 96 bytes, got 95" in refused(
        body.replace(b'"binary_data_size": 96', b'"binary_data_size": 95'), length
    )
    for value in ("-1", "1e3", "", "9" * 13, "٣"):
        with pytest.raises(ProtocolError, match="must be a number of bytes"):
            parse_header_length(value)


def test_only_types_of_the_protocol_are_sent():
    with pytest.raises(ProtocolError, match="cannot be sent"):
        encode_inference_request(InferenceRequest(inputs={"x": np.array(["a"])}))
    with pytest.raises(ProtocolError, match="no NaN"):
        encode_inference_request(InferenceRequest(inputs={"x": np.array([np.nan])}), binary=False)


def test_errors_of_a_server_are_read_whatever_it_sends():
    assert decode_protocol_error(encode_protocol_error("no such model")) == "'no such model'"
    for data in (b"", b"<html>", b"[" * 100_000, b'{"error": 3}', b"\xff" * 5000):
        assert "\n" not in decode_protocol_error(data)


@given(body=mutated_bytes(VALID.data), length=st.none() | st.integers(0, len(VALID.data) + 9))
@settings(max_examples=examples(150), deadline=None)
def test_damaged_bytes_are_refused_in_one_line(body, length):
    check_one_line(lambda: decode_inference_request(body, length))
    check_one_line(lambda: decode_inference_response(body, length))


@given(found=mutated_table(AS_JSON))
@settings(max_examples=examples(150), deadline=None)
def test_damaged_json_is_refused_in_one_line(found):
    check_one_line(lambda: decode_inference_request(json.dumps(found).encode()))
