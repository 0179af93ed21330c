"""A server behind a split: the edge client of eenas answers as the whole model, for all policies and both folders."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.opening import Opening, open_models
from eenas.deployment.splitting import split_model
from eenas.errors import ExportError
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.programs.remote.open_inference import InferenceRequest, decode_inference_response, encode_inference_request
from eenas.programs.runtime import load

from .conftest import a_server


@pytest.fixture(scope="module")
def halves(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    split_model(exported, folder / "edge", folder / "cloud", at="0")
    return folder / "edge", folder / "cloud"


def ask(server, tensors, **parameters):
    body = encode_inference_request(InferenceRequest(inputs=tensors, parameters=parameters))
    name = next(iter(server.service.models))
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v2/models/{name}/infer", data=body.data, headers=body.headers
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return decode_inference_response(answer.read()).outputs
    except urllib.error.HTTPError as error:
        with error:
            return json.loads(error.read())["error"]


def features_at(exported, x, k):
    """The features and the logits of the exits up to k of samples that stay there."""
    model, logits = load(exported, threads=1), []
    for segment in model.segments[: k + 1]:
        x, found = segment(x, logits[-1] if logits else None)
        logits.append(found)
    return x, np.stack(logits, axis=1)


def test_the_edge_half_and_the_cloud_half_answer_as_the_whole_model(halves, x, expected):
    edge, cloud = halves
    with a_server({"cloud": cloud}) as server:
        model = load(edge, threads=1, remote=f"http://127.0.0.1:{server.port}")
        found = model.predict(x)
        model.remote.close()
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_array_equal(found.exits, expected.exits)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    assert set(found.exits.tolist()) == {0, 1, 2}


def test_before_the_first_segment_bytes_are_sent_as_they_are(exported, x):
    pictures = np.random.default_rng(0).integers(0, 256, x.shape, dtype=np.uint8)
    sent = {}
    with a_server({"whole": exported}) as server:
        for name, batch in (("bytes", pictures), ("floats", load(exported).manifest.preprocessing(pictures))):
            model = load(exported, threads=1, remote=f"http://127.0.0.1:{server.port}", split="", deadline_ms=30_000)
            found = model.predict(batch)
            model.remote.close()
            assert set(found.answered) == {"cloud"}
            np.testing.assert_array_equal(found.classes, load(exported, threads=1).predict(pictures).classes)
            sent[name] = model.remote.statistics.link.bytes_sent
    assert sent["floats"] - sent["bytes"] > 2.9 * pictures.nbytes


@pytest.mark.parametrize("cut", ["0", "2"])
@pytest.mark.parametrize("policy", [None, PatiencePolicy(exits=3, patience=1), VotePolicy(exits=3, ratio=0.6, least=2)])
def test_a_whole_model_served_from_an_exit_continues_each_policy(exported, x, cut, policy):
    whole = load(exported, threads=1)
    with a_server({"m": exported}, opening=Opening(cut=cut, threads=1)) as server:
        if policy is not None:
            whole.set_policy(policy)
            server.service.models["m"].model.set_policy(policy)
        expected = whole.predict(x)
        first = int(cut) // 2
        rows = np.flatnonzero(expected.exits > first)
        assert len(rows)
        features, logits = features_at(exported, x[rows], first)
        metadata = server.service.models["m"].metadata
        assert [each["name"] for each in metadata["inputs"]] == (["features", "logits"] if policy else ["features"])
        found = ask(server, {"features": features, **({"logits": logits} if policy else {})}, split=cut)
        np.testing.assert_array_equal(found["classes"], expected.classes[rows])
        np.testing.assert_array_equal(found["exits"], expected.exits[rows])
        if policy:
            assert "the input 'logits' is missing" in ask(server, {"features": features})


def test_wrong_features_are_refused(exported, x):
    with a_server({"m": exported}, opening=Opening(cut="0", threads=1)) as server:
        features, logits = features_at(exported, x[:3], 0)
        bad = features.copy()
        bad[1] = np.inf
        for tensors, parameters, said in (
            ({"features": features[:, :2]}, {}, "features must be [N, "),
            ({"features": bad}, {}, "NaN or infinity in sample 1 of 3"),
            ({"features": features.astype(np.int8)}, {}, "need the tensor 'scale'"),
            ({"features": features.astype(np.int64)}, {}, "must be FP32, FP16 or INT8"),
            ({"features": features, "logits": logits[:, :, :2]}, {}, "logits must be FP32 [3, 1, 4]"),
            ({"features": features, "logits": logits * np.nan}, {}, "NaN or infinity"),
            ({"image": x[:3]}, {}, "there is no input 'image'"),
            ({"features": features}, {"model_identity": "other"}, "halves do not belong together"),
            ({"features": features}, {"split": "2"}, "this server at '0'"),
        ):
            assert said in ask(server, tensors, **parameters)
        assert len(ask(server, {"features": features, "logits": logits}, split="0")["classes"]) == 3


def test_folders_and_cuts_that_cannot_be_served(exported, halves):
    edge, cloud = halves
    for folder, cut, said in (
        (edge, None, "serve the cloud half, or the whole model"),
        (cloud, "2", "cannot be served from '2'; leave --from out"),
        (exported, "1", r"can be served from its exits, not from '1'; known: '0', '2'"),
        (exported, "final", "not from 'final'"),
    ):
        with pytest.raises(ExportError, match=said):
            open_models({"m": folder}, Opening(cut=cut), ServingLimits(), ServingMetrics())
