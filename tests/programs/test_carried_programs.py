"""Programs of a network of tokens: int64 ids of any length, in ONNX, .pt2 and one file, in two halves and served."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.deployment.network_segments import open_network
from eenas.deployment.serving.features_input import features_input
from eenas.deployment.serving.samples_input import WholeModel
from eenas.deployment.splitting import report_codecs, split_model
from eenas.designs.design import Design, Placed
from eenas.errors import ExportError, InputError, PluginError
from eenas.networks.assembly import build_network
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.file_answers import answer_files
from eenas.programs.manifest import read_manifest
from eenas.programs.model_folder import Package, load, write_folder
from eenas.programs.parity import compare, validation_samples
from eenas.programs.programs import Programs
from eenas.programs.remote.feature_codec import encode_features
from eenas.programs.remote.split_table import SplitRow, SplitTable
from eenas.programs.runtime import load as load_model
from eenas.tasks.kinds import INPUT_KINDS
from tests.token_sets import INPUTS, KIND, TokenPreprocessing, token_net, token_task

pytestmark = pytest.mark.slow

PLACED = (Placed("layers.0", Fc()), Placed("layers.1", PoolFc(pool="avg")))
NOWHERE = "http://127.0.0.1:9"
TEXTS = [[5, 6, 7], list(range(2, 22)), [30] * 9, [11, 12]]


def package():
    backbone = load_backbone("tests.token_sets:token_net", num_classes=3, inputs=INPUTS, trust_code=True)
    design = Design(backbone=backbone.name, num_classes=3, inputs=INPUTS, branches=PLACED)
    network = build_network(design, backbone, classes=("a", "b", "c")).eval()
    inputs = validation_samples(network, token_task(), count=24).inputs
    with torch.no_grad():
        limits = [float(logits.softmax(dim=1).amax(dim=1).quantile(0.6)) for logits in network(inputs)[:2]]
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=tuple(limits))
    spec = BackboneSpec(name=backbone.name)
    return Package(network=network, backbone=spec, trained=True, measured={}, card="# Tokens\n")


@pytest.fixture(scope="module")
def made():
    return package()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return write_folder(made, tmp_path_factory.mktemp("out") / "onnx", Programs(format="onnx", single_file=True))


@pytest.fixture(scope="module")
def samples(made):
    return validation_samples(made.network, token_task(), count=24)


def test_the_manifest_says_which_side_has_any_length(folder):
    table = json.loads((folder / "eenas.json").read_text())
    assert [segment["shape"] for segment in table["program"]["segments"]] == [[0], [0, 17], [0, 17]]
    assert [segment["carried"] for segment in table["program"]["segments"]] == [0, 1, 1]
    assert table["transform"] == {"kind": KIND, "length": 12}
    session = onnxruntime.InferenceSession(folder / "segment_1.onnx")
    assert session.get_inputs()[0].shape == ["batch", "length", 17]
    (given,) = onnxruntime.InferenceSession(folder / "segment_0.onnx").get_inputs()
    assert (given.shape, given.type) == (["batch", "length"], "tensor(int64)")


def test_the_programs_answer_as_the_network_at_every_length(made, folder, samples):
    model = load_model(folder, trust_code=True)
    found = compare(made.network, model, samples)
    assert max(found.differences) < 1e-4
    assert set(model.predict(samples.inputs.numpy()).exits.tolist()) == {0, 1, 2}
    batch = model.preprocess(TEXTS)
    answers = model.predict(batch)
    for row, text in enumerate(TEXTS):
        alone = model.predict(model.preprocess(np.array(text)))
        assert (alone.classes[0], alone.exits[0]) == (answers.classes[row], answers.exits[row])
        np.testing.assert_allclose(alone.logits[0], answers.logits[row], atol=1e-5)
    model.warm_up(2)
    with pytest.raises(InputError, match="int64"):
        model.predict(batch.astype(np.float32))


def test_a_kind_of_input_states_the_files_that_it_reads(folder, tmp_path, monkeypatch):
    model = load_model(folder, trust_code=True)
    (tmp_path / "notes.md").touch()
    with pytest.raises(
        InputError, match=r"TokenPreprocessing of this model names no endings of files \(file_endings\)"
    ):
        list(answer_files(model, [tmp_path]))
    monkeypatch.setattr(TokenPreprocessing, "file_endings", lambda self: (".ids",))
    monkeypatch.setattr(TokenPreprocessing, "files", "token")
    (nothing,) = answer_files(model, [tmp_path])
    assert nothing.reason == f"{tmp_path}: contains no token files (.ids)"
    (tmp_path / "one.ids").write_text("5 6 7")
    prepare = TokenPreprocessing.prepare
    monkeypatch.setattr(
        TokenPreprocessing, "prepare", lambda self, files: prepare(self, [np.loadtxt(each) for each in files])
    )
    (answer,) = answer_files(model, [tmp_path])
    assert answer.label == model.classes[int(model.predict(model.preprocess(tmp_path / "one.ids")).classes[0])]


def test_pt2_does_so_too(made, tmp_path, samples):
    folder = write_folder(made, tmp_path / "pt2", Programs(format="pt2"))
    found = compare(made.network, load_model(folder, trust_code=True), samples)
    assert max(found.differences) < 1e-4


def test_the_folder_is_a_network_again(made, folder):
    network, texts = load(folder, trust_code=True), torch.from_numpy(TokenPreprocessing().prepare(TEXTS))
    for one, other in zip(network(texts), made.network(texts), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    model = open_network(folder, trust_code=True)
    assert model.predict(texts.numpy()).exits.tolist() == network.predict(texts).exits.tolist()


def test_a_kind_of_input_needs_trust(folder, monkeypatch):
    monkeypatch.setattr(INPUT_KINDS, "_trusted", {})  # as in a new process
    for opened in (load_model, load):
        with pytest.raises((PluginError, ExportError)):
            opened(folder, trust_code=False)


@pytest.mark.parametrize("at", ["layers.0", "layers.0.norm1"])
def test_halves_have_any_length_and_keep_the_mask_exact(folder, tmp_path, at):
    edge, cloud = tmp_path / "edge", tmp_path / "cloud"
    split_model(folder, edge, cloud, at=at, data=token_task(), trust_code=True)
    for half in (edge, cloud):
        table = json.loads((half / "eenas.json").read_text())
        assert table["split"]["feature"]["shape"] == [0, 17]
        assert table["split"]["feature"]["carried"] == 1
    assert (at == "layers.0") == (not (edge / "tail.onnx").exists())
    for codec in ("int8", "int8_channel"):
        with pytest.raises(InputError, match=f"{codec} changes them; use float32 or float16"):
            load_model(edge, remote=NOWHERE, codec=codec, trust_code=True)
    load_model(edge, remote=NOWHERE, codec="float16", trust_code=True).remote.close()
    effects = report_codecs(folder, edge, cloud, data=token_task(), trust_code=True)
    assert {effect.codec for effect in effects} == {"float32", "float16"}
    served = features_input(read_manifest(cloud, trust_code=True), None)
    model = load_model(folder, trust_code=True)
    features = np.ones((2, 5, 17), dtype=np.float32)
    for codec in ("float32", "float16"):
        assert served.job(model, model.policy, encode_features(features, codec), deadline=1e9).entry.x.shape == (
            2,
            5,
            17,
        )
    with pytest.raises(InputError, match="a mask must stay exact beside the features there, and int8 changes them"):
        served.job(model, model.policy, encode_features(features, "int8"), deadline=1e9)


def test_a_whole_model_keeps_the_mask_exact_at_every_split(folder):
    def opened(**options):
        load_model(folder, remote=NOWHERE, trust_code=True, **options).remote.close()

    for split in ("", "final"):  # no features are sent
        opened(split=split, codec="int8")
    table = SplitTable(rows=(SplitRow(split="layers.1", min_mbit=5.0), SplitRow(split="final")))
    for how in ({"split": "layers.0"}, {"table": table}):
        opened(codec="float16", **how)
        with pytest.raises(InputError, match="a mask must stay exact beside the features there, and int8 changes"):
            opened(codec="int8", **how)
    model = load_model(folder, remote=NOWHERE, trust_code=True, split="final", codec="int8")
    with pytest.raises(InputError, match="a mask must stay exact"):
        model.remote.set_split("layers.0")
    assert model.remote.split == "final"
    model.remote.close()


def test_a_server_takes_ids(folder):
    model, taken = load_model(folder, trust_code=True), WholeModel("x")
    assert taken.facts(model)[0].to_table() == {"name": "x", "datatype": "INT64", "shape": [-1, -1]}
    batch = model.preprocess(TEXTS)
    job = taken.job(model, model.policy, {"x": batch}, deadline=1e9)
    assert job.entry.x.dtype == np.int64
    with pytest.raises(InputError, match="int64"):
        taken.job(model, model.policy, {"x": batch.astype(np.float64)}, deadline=1e9)


def test_predict_repacks_texts_of_any_length(made):
    network = made.network
    texts = torch.from_numpy(TokenPreprocessing().prepare(TEXTS))
    found, every = network.predict(texts), network(texts)
    for row, exit_ in enumerate(found.exits.tolist()):
        assert torch.allclose(found.logits[row], every[exit_][row], atol=1e-5)
    again = replace(network.policy, thresholds=(0.0, 0.0))
    assert network.predict(texts, again).exits.eq(0).all()


def test_the_network_is_the_same_every_time():
    assert torch.equal(token_net().head.weight, token_net().head.weight)
