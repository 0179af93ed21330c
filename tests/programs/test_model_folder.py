"""A network's folder: written whole or not at all, read back exactly, and every wrong folder named in one line."""

import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eenas.programs.model_folder as model_folder
from eenas.backbones.load import BackboneSpec
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import DeviceError, ExportError, StorageError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.programs.model_folder import Package, load, load_design, write_folder
from eenas.testing.smallest import smallest_backbone
from tests.policies.gates import random_policy
from tests.smallest_networks import loaded, small_design

from ..fuzzing import check_one_line, examples, mutated_bytes, mutated_table

POLICY = ThresholdPolicy(score="margin", temperatures=(1.5, 0.7, 1.0), thresholds=(0.31, None))
PATIENCE, VOTE = PatiencePolicy(exits=3, patience=1), VotePolicy(exits=3, ratio=0.6, least=2)
CONFIDENT = PatienceConfidencePolicy(score="margin", temperatures=(1.5, 0.7, 1.0), threshold=0.05, patience=2)
EAGER = ThresholdPolicy(score="margin", temperatures=(1.5, 0.7, 1.0), thresholds=(0.1, None))
SUREST = MostConfidentPolicy(score="max_softmax", temperatures=(1.5, 0.7, 1.0), policy=EAGER)
TOGETHER = GeometricPolicy(
    weights=((0.1,), (0.2, 0.9), (-0.4, 0.0, 0.3)), biases=((0.1, 0, 0, 0.2),) * 3, policy=SUREST
)
LEARNED = random_policy(exits=3, size=5.0)
CLASSES = ("Käse", "卵", "c", "d")


def package(policy=POLICY):
    torch.manual_seed(3)
    backbone = loaded()
    branches = (Placed(cut_point="0", branch=Fc()), Placed(cut_point="2", branch=PoolFc(pool="max", size=2)))
    design = small_design(*branches, backbone=backbone.name)
    network = build_network(design, backbone, policy=policy, classes=CLASSES)
    for _ in range(3):
        network.train()(torch.randn(16, 3, 8, 8))
    spec = BackboneSpec(name=backbone.name)
    return Package(network=network.eval(), backbone=spec, trained=True, measured={"a": 1}, card="# Käse\n")


@pytest.fixture
def whole(tmp_path):
    return write_folder(package(), tmp_path / "model")


def test_it_comes_back_bit_for_bit(whole):
    given = smallest_backbone()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    original, state = package().network, torch.get_rng_state()
    network = load(whole, backbone=given)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())
    assert (network.policy, network.classes, network.design) == (POLICY, CLASSES, original.design)
    assert not network.training
    x = torch.randn(9, 3, 8, 8)
    for one, other in zip(network(x), original(x), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(network.predict(x).exits, original.predict(x).exits)
    assert sorted(path.name for path in whole.iterdir()) == [
        "README.md",
        "design.json",
        "eenas.json",
        "weights.safetensors",
    ]


@pytest.mark.parametrize(
    "policy", [PATIENCE, VOTE, CONFIDENT, SUREST, TOGETHER, LEARNED], ids=lambda policy: policy.kind
)
def test_every_kind_of_policy_comes_back_and_stops_as_over_a_table(tmp_path, policy):
    network = load(write_folder(package(policy), tmp_path / "m"), backbone=smallest_backbone())
    assert network.policy == policy
    x = 3 * torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = torch.stack(network(x), dim=1).numpy()
    table = ExitTable(logits=logits, labels=[0] * 64, exits=network.exits, costs=Costs.of(macs=[1.0, 2.0, 3.0]))
    expected, found = policy.apply(table), network.predict(x)
    near = (expected.exit_index != found.exits.numpy()) | (expected.answer != found.classes.numpy())
    assert near.sum() <= expected.near
    assert len(set(expected.exit_index.tolist())) >= 2


def test_a_policy_of_ones_own_is_not_written(tmp_path):
    class Mine(ThresholdPolicy):
        kind = "mine"

    policy = Mine(score="margin", temperatures=(1, 1, 1), thresholds=(0.5, 0.5))
    with pytest.raises(ExportError, match=r"of eenas or of a search space, got: .* unknown kind of policy 'mine'"):
        write_folder(package(policy), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_network_without_a_policy(tmp_path):
    assert load(write_folder(package(None), tmp_path / "m"), backbone=smallest_backbone()).policy is None


def refused(path, match, **options):
    options.setdefault("backbone", smallest_backbone())
    with pytest.raises(ExportError, match=match) as error:
        load(path, **options)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_wrong_folders_are_named(whole, tmp_path):
    refused(tmp_path / "nowhere", "has no eenas.json; give a folder")
    refused(tmp_path, "has no eenas.json; give a folder")
    refused(whole / "design.json", "has no eenas.json")
    refused(whole, "a Python module of type Sequential; give it again", backbone=None)
    (whole / "eenas.json").unlink()
    refused(whole, "it is a run or incomplete")


@pytest.mark.parametrize("name", ["design.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "half", "nonsense"])
def test_a_half_written_folder_is_named(whole, name, damage):
    file = whole / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: len(file.read_bytes()) // 2] if damage == "half" else b"\xff\xfe\x00")
    refused(whole, name)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 99}, "format 99, this eenas reads format 1"),
        ({"transform": {"size": 8}}, "is missing"),
        ({"backbone": 3}, "backbone must be a table, got 3"),
        ({"backbone": {"name": "resnet19"}}, "resnet19"),
        ({"classes": None}, "classes must be a list of names, got None"),
        ({"exits": ["0", "final"]}, "policy must be for 2 exits, got one for 3"),
        ({"exits": ["0", "1", "final"]}, "the design has exits"),
        ({"classes": ["a", "b", "c"]}, "the design has 4 classes, the manifest 3; export again"),
        ({"program": -1}, "program must be a table, got -1"),
        ({"program": {"kind": "x", "segments": []}}, "unknown kind of program 'x'"),
        ({"program": {"kind": "onnx", "segments": "../../etc/passwd"}}, "program.segments must be a list"),
        ({"rule": {"score": "x"}}, "policy.score: unknown value 'x'"),
        ({"rule": {"ensemble": -1}}, "rule.ensemble"),
        ({"policy": {"score": "margin", "temperatures": [1.0], "thresholds": [0.5, 0.5]}}, "temperatures|thresholds"),
    ],
)
def test_a_manifest_that_contradicts_the_rest_is_named(whole, change, match):
    manifest = json.loads((whole / "eenas.json").read_text())
    (whole / "eenas.json").write_text(json.dumps({**manifest, **change}))
    refused(whole, match, backbone=None if isinstance(change.get("backbone"), dict) else smallest_backbone())


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_a_manifest_that_is_none_is_named(whole, text):
    (whole / "eenas.json").write_text(text)
    refused(whole, "is not an eenas manifest")


def test_another_module_does_not_fit(whole):
    refused(whole, "cut point|classifier|does not fit", backbone=torch.nn.Sequential(*list(smallest_backbone())[2:]))
    wider = smallest_backbone()
    wider[0][0] = torch.nn.Conv2d(3, 8, 5, padding=2, bias=False)
    refused(whole, "other shape", backbone=wider)


def test_python_code_needs_the_users_word(whole):
    manifest = json.loads((whole / "eenas.json").read_text())
    manifest["backbone"]["name"] = "eenas.testing.smallest:smallest_backbone"
    (whole / "eenas.json").write_text(json.dumps(manifest))
    refused(whole, "is Python code; pass trust_code=True", backbone=None)
    assert load(whole, trust_code=True).exits == ("0", "2", "final")


def test_a_device_that_is_not_there_is_one_line(whole):
    with pytest.raises(DeviceError, match="cuda:77"):
        load(whole, backbone=smallest_backbone(), device="cuda:77")


def test_folders_of_others_are_left_alone(whole, tmp_path):
    (tmp_path / "file").write_text("mine")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "README.md").write_text("mine")
    for out in (tmp_path / "file", mine):
        with pytest.raises(ExportError, match="not written by eenas; choose a new or empty folder"):
            write_folder(package(), out)
    assert (mine / "README.md").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert write_folder(package(), tmp_path / "empty")


@pytest.mark.parametrize("cut", ["save_weights", "write_manifest"])
def test_a_kill_while_writing_leaves_the_older_export(whole, monkeypatch, cut):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model_folder, cut, killed)
        with pytest.raises(KeyboardInterrupt):
            write_folder(package(None), whole)
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]
    write_folder(package(None), whole)
    assert load(whole, backbone=smallest_backbone()).policy is None


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises((ExportError, StorageError), match="file/model"):
        write_folder(package(), tmp_path / "file" / "model")


def test_a_copied_folder_is_as_good(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    assert load(tmp_path / "copy", backbone=smallest_backbone()).policy == POLICY


def test_a_design_is_read_alone(whole, tmp_path):
    assert load_design(whole / "design.json") == package().network.design
    with pytest.raises(ExportError, match="cannot be read"):
        load_design(tmp_path / "none.json")


def test_a_design_of_many_classes_makes_no_classifier_of_gigabytes(whole):
    design = json.loads((whole / "design.json").read_text())
    (whole / "eenas.json").write_text(_without_checksums(whole))
    for classes, match in (
        (2_000_000_000, "num_classes must be at most 1,000,000"),
        (900_000, "has 900,000 classes"),
    ):
        (whole / "design.json").write_text(json.dumps({**design, "num_classes": classes}))
        refused(whole, match)


@pytest.mark.parametrize("name", ["design.json", "weights.safetensors"])
def test_every_file_is_under_a_checksum(whole, name):
    content = (whole / name).read_bytes()
    (whole / name).write_bytes(content[:-1] + b" ")
    refused(whole, f"{name}: has the checksum .*, the manifest .*; copy it again")


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_folder_is_read_or_refused_in_one_line(tmp_path, data):
    folder = tmp_path / "m"
    if not folder.exists():
        write_folder(package(), folder)
        (tmp_path / "whole.json").write_text(_without_checksums(folder))
    table = json.loads((tmp_path / "whole.json").read_text())
    (folder / "eenas.json").write_text(json.dumps(data.draw(mutated_table(table))))
    check_one_line(lambda: load(folder, backbone=smallest_backbone()))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_design_is_read_or_refused_in_one_line(tmp_path, data):
    table = json.loads(package().network.design.to_json())
    (tmp_path / "design.json").write_text(json.dumps(data.draw(mutated_table(table))))
    check_one_line(lambda: load_design(tmp_path / "design.json"))


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_weights_are_read_or_refused_in_one_line(tmp_path, data):
    network = package().network
    save_weights(network, tmp_path / "whole")
    (tmp_path / "w.safetensors").write_bytes(data.draw(mutated_bytes((tmp_path / "whole").read_bytes())))
    check_one_line(lambda: load_weights(network, tmp_path / "w.safetensors"))


def _without_checksums(folder):
    manifest = json.loads((folder / "eenas.json").read_text())
    return json.dumps({key: value for key, value in manifest.items() if key != "files"})
