"""The server against clients that others wrote: tritonclient over HTTP and gRPC."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from eenas import __version__

PACKAGES = {"http": tritonclient.http, "grpc": tritonclient.grpc}


@pytest.fixture(scope="module", params=["http", "grpc"])
def protocol(request):
    return request.param


@pytest.fixture(scope="module")
def client(server, protocol):
    if protocol == "http":
        found = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4)
    else:
        found = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    yield found
    found.close()


def inputs(protocol, batch, *, name="image", datatype="FP32", binary=True):
    tensor = PACKAGES[protocol].InferInput(name, list(batch.shape), datatype)
    if protocol == "http":
        tensor.set_data_from_numpy(batch, binary_data=binary)
    else:
        tensor.set_data_from_numpy(batch)
    return [tensor]


def check(found, expected, rows):
    np.testing.assert_array_equal(found.as_numpy("classes"), expected.classes[rows])
    np.testing.assert_array_equal(found.as_numpy("exits"), expected.exits[rows])
    np.testing.assert_allclose(found.as_numpy("logits"), expected.logits[rows], atol=1e-5)
    np.testing.assert_allclose(found.as_numpy("confidences"), expected.confidences[rows], atol=1e-5)


def test_health_and_metadata(client, protocol):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("smallest")
    assert client.is_model_ready("smallest", "1")
    assert not client.is_model_ready("other") if protocol == "http" else True
    if protocol == "http":
        server, model = client.get_server_metadata(), client.get_model_metadata("smallest")
        assert set(model["parameters"]) == {"model_identity", "split", "exits", "max_batch"}
    else:
        server = client.get_server_metadata(as_json=True)
        model = client.get_model_metadata("smallest", as_json=True)
        assert "parameters" not in model, "the message of the protocol has none"
    assert (server["name"], server["version"]) == ("eenas", __version__)
    assert "binary_tensor_data" in server["extensions"]
    assert (model["name"], model["versions"], model["platform"]) == ("smallest", ["1"], "eenas")
    (taken,) = model["inputs"]
    assert (taken["name"], taken["datatype"]) == ("image", "FP32")
    assert [int(side) for side in taken["shape"]] == [-1, 3, 8, 8]
    assert [each["name"] for each in model["outputs"]] == ["classes", "exits", "logits", "confidences"]


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_batches_have_the_answers_of_the_runtime(client, protocol, x, expected, n):
    check(client.infer("smallest", inputs(protocol, x[:n])), expected, slice(n))


def test_the_types_of_the_protocol(client, protocol, x, raw, expected):
    found = client.infer("smallest", inputs(protocol, raw[:5], datatype="UINT8"))
    check(found, expected, slice(5))
    check(client.infer("smallest", inputs(protocol, x[:5].astype(np.float64), datatype="FP64")), expected, slice(5))
    half = client.infer("smallest", inputs(protocol, x[:5].astype(np.float16), datatype="FP16"))
    np.testing.assert_allclose(half.as_numpy("logits"), expected.logits[:5], atol=0.05)


def test_outputs_are_those_that_are_asked_for(client, protocol, x, expected):
    package = PACKAGES[protocol]
    wanted = [package.InferRequestedOutput("exits"), package.InferRequestedOutput("classes")]
    found = client.infer("smallest", inputs(protocol, x[:3]), outputs=wanted, request_id="number 7")
    np.testing.assert_array_equal(found.as_numpy("classes"), expected.classes[:3])
    assert found.as_numpy("logits") is None
    response = found.get_response()
    assert (response["id"] if protocol == "http" else response.id) == "number 7"


def test_data_as_json_both_ways(server, x, expected):
    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        wanted = [
            tritonclient.http.InferRequestedOutput(name, binary_data=False)
            for name in ("classes", "exits", "logits", "confidences")
        ]
        check(client.infer("smallest", inputs("http", x[:2], binary=False), outputs=wanted), expected, slice(2))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_by_the_option_of_the_client(server, x, expected, algorithm, protocol, client):
    options = (
        {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
        if protocol == "http"
        else {"compression_algorithm": algorithm}
    )
    check(client.infer("smallest", inputs(protocol, x[:30]), **options), expected, slice(30))


def test_a_burst_of_requests_of_many_sizes(server, client, protocol, x, expected):
    random = np.random.default_rng(0)
    asked, answers = [], []
    if protocol == "http":
        for _ in range(40):
            rows = random.integers(0, len(x), size=random.integers(1, 9))
            asked.append(rows)
            answers.append(client.async_infer("smallest", inputs(protocol, x[rows])))
        found = [each.get_result() for each in answers]
    else:
        asked = [random.integers(0, len(x), size=random.integers(1, 9)) for _ in range(40)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda rows: client.infer("smallest", inputs("grpc", x[rows])), asked))
    for rows, one in zip(asked, found, strict=True):
        check(one, expected, rows)


@pytest.mark.parametrize(
    ("model", "version", "name", "cut", "said"),
    [
        ("other", "", "image", None, "there is no model 'other'"),
        ("smallest", "2", "image", None, "has only the version 1"),
        ("smallest", "", "picture", None, "there is no input 'picture'; inputs are image"),
        ("smallest", "", "image", 4, "a batch must be float32"),
    ],
)
def test_requests_that_the_model_cannot_answer(client, protocol, x, model, version, name, cut, said):
    with pytest.raises(InferenceServerException, match=said):
        client.infer(model, inputs(protocol, np.ascontiguousarray(x[:1, ..., :cut]), name=name), model_version=version)


def test_values_outputs_and_contexts_that_do_not_exist(client, protocol, x):
    package = PACKAGES[protocol]
    bad = x[:2].copy()
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(InferenceServerException, match="finite numbers, got NaN or infinity in sample 1 of 2"):
        client.infer("smallest", inputs(protocol, bad))
    with pytest.raises(InferenceServerException, match="there is no output 'scores'"):
        client.infer("smallest", inputs(protocol, x[:1]), outputs=[package.InferRequestedOutput("scores")])
    with pytest.raises(InferenceServerException, match="same thresholds in every context"):
        client.infer("smallest", inputs(protocol, x[:1]), parameters={"context": "fog"})
    with pytest.raises(InferenceServerException, match="halves do not belong together"):
        client.infer("smallest", inputs(protocol, x[:1]), parameters={"model_identity": "0" * 16})
    huge = np.sign(x[:1]) * np.float32(3e38)
    with pytest.raises(InferenceServerException, match="overflow in the network"):
        client.infer("smallest", inputs(protocol, huge))


def test_an_empty_batch_has_an_empty_answer(client, protocol, x):
    found = client.infer("smallest", inputs(protocol, x[:0]))
    response = found.get_response()
    outputs = response["outputs"] if protocol == "http" else response.outputs
    shapes = {(each["name"], *each["shape"]) if protocol == "http" else (each.name, *each.shape) for each in outputs}
    assert shapes == {("classes", 0), ("exits", 0), ("logits", 0, 4), ("confidences", 0)}


def test_the_typed_contents_of_grpc(server, x, expected):
    from eenas.deployment.serving.grpc_tensors import request_from_message
    from eenas.deployment.serving.protocol.messages import message_class
    from eenas.errors import ProtocolError

    make = message_class("ModelInferRequest")
    message = make()
    tensor = message.inputs.add(name="image", datatype="FP32", shape=x[:2].shape)
    tensor.contents.fp32_contents.extend(x[:2].ravel())
    message.parameters["context"].string_param = "fog"
    found = request_from_message(make.FromString(message.SerializeToString()))
    np.testing.assert_array_equal(found.inputs["image"], x[:2])
    assert found.parameters == {"context": "fog"}
    message.raw_input_contents.append(b"1")
    with pytest.raises(ProtocolError, match="contents must be left out"):
        request_from_message(message)
    message.raw_input_contents.append(b"1")
    with pytest.raises(ProtocolError, match="must have 1 entries"):
        request_from_message(message)
    for datatype, said in (("FP16", "no typed contents"), ("BYTES", "datatype must be"), ("FP64", "needs 384 values")):
        other = make()
        other.inputs.add(name="image", datatype=datatype, shape=x[:2].shape)
        with pytest.raises(ProtocolError, match=said):
            request_from_message(other)


def test_the_descriptors_are_those_of_the_proto_file(tmp_path):
    protoc = pytest.importorskip("grpc_tools.protoc")
    from pathlib import Path

    from eenas.deployment.serving.protocol import messages

    folder, out = Path(messages.__file__).parent, tmp_path / "found.binpb"
    assert protoc.main(["", f"-I{folder}", f"--descriptor_set_out={out}", "open_inference.proto"]) == 0
    assert out.read_bytes() == (folder / "open_inference.binpb").read_bytes()


def test_their_fields_are_those_of_the_client_of_others():
    from tritonclient.grpc import service_pb2

    from eenas.deployment.serving.protocol.messages import METHODS, message_class

    def fields(descriptor):
        found = {each.name: (each.number, each.type, each.is_repeated) for each in descriptor.fields}
        return {"": found, **{each.name: fields(each) for each in descriptor.nested_types}}

    for method in METHODS:
        for kind in ("Request", "Response"):
            name = f"{method}{kind}"
            assert fields(message_class(name).DESCRIPTOR) == fields(getattr(service_pb2, name).DESCRIPTOR)
    for name in ("InferTensorContents", "InferParameter"):
        assert fields(message_class(name).DESCRIPTOR) == fields(getattr(service_pb2, name).DESCRIPTOR)


def test_compressed_json_is_small(server, x):
    import urllib.request

    body = json.dumps(
        {"inputs": [{"name": "image", "datatype": "FP32", "shape": list(x[:20].shape), "data": x[:20].tolist()}]}
    ).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v2/models/smallest/infer",
        data=gzip.compress(body),
        headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(json.loads(gzip.decompress(answer.read()))["outputs"]) == 4
