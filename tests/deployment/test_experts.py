"""Networks with experts as model folders: written, compared, opened in torch and in the runtime, and damaged."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from eenas.deployment.calibration import calibrate
from eenas.deployment.expert_addition import add_experts
from eenas.deployment.program_folder import verify
from eenas.errors import EenasError, ExportError, ParityError, PolicyError
from eenas.handle.recordings import RecordingSource
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_tables import in_batches, routed_table
from eenas.policies.costs import Costs
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import evaluate
from eenas.programs.experts.expert_folder import load_experts
from eenas.programs.model_folder import load
from eenas.programs.runtime import load as open_model
from eenas.tasks.distortions.distortion import distort
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_task

from ..fuzzing import check_one_line, examples, mutated_table
from .conftest import SPEC
from .serving.conftest import a_server

pytestmark = pytest.mark.slow

NAMES = ("pristine", "contrast", "gaussian_noise")


@pytest.fixture
def folder(experts, tmp_path):
    return shutil.copytree(experts.folder, tmp_path / "model")


def pictures():
    """Test images, clean and distorted by both kinds, uint8."""
    task = smallest_task()
    clean = task.test.reader(task.inputs)[np.arange(60)].numpy()
    noisy = distort(clean, "gaussian_noise", 5, np.random.default_rng(0))
    flat = distort(clean, "contrast", 5, np.random.default_rng(0))
    return np.concatenate([clean, noisy, flat])


def test_the_result_tells_the_worth_of_each_expert(experts):
    assert experts.names == NAMES
    assert [each.context for each in experts.contexts] == [
        "clean",
        *("contrast:3", "contrast:5", "gaussian_noise:3", "gaussian_noise:5"),
    ]
    for each in experts.contexts:
        assert sum(each.chosen) == pytest.approx(1)
        assert 0.25 <= each.accuracy <= 1
        assert each.macs > experts.classifier_macs
    flat = experts.contexts[2]
    assert flat.accuracy > flat.plain_accuracy + 0.1
    assert flat.chosen[1] > 0.5
    assert experts.parity is not None
    assert experts.parity.samples == 3 * len(smallest_task().validation)


def test_programs_answer_as_the_network_in_any_batch(experts):
    network, model = load_experts(experts.folder, trust_code=True), open_model(experts.folder)
    images = pictures()
    import torch

    theirs, ours = network.predict(torch.from_numpy(images)), model.predict(images)
    assert ours.experts.tolist() == theirs.experts.tolist()
    assert set(ours.experts.tolist()) == {0, 1, 2}
    assert ours.classes.tolist() == theirs.classes.tolist()
    assert ours.exits.tolist() == theirs.exits.tolist()
    assert len(set(ours.exits.tolist())) > 1
    np.testing.assert_allclose(ours.logits, theirs.logits.numpy(), atol=1e-4)
    for index in (0, 70, 150):
        one = model.predict(images[index : index + 1])
        assert (int(one.classes[0]), int(one.exits[0]), int(one.experts[0])) == (
            int(ours.classes[index]),
            int(ours.exits[index]),
            int(ours.experts[index]),
        )
        assert one.confidences[0] == pytest.approx(ours.confidences[index], abs=1e-5)
    assert len(model.predict(images[:0]).experts) == 0


def test_a_server_answers_as_the_runtime(experts):
    expected = open_model(experts.folder).predict(pictures())
    with a_server({"m": experts.folder}) as server, InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        tensor = InferInput("image", list(pictures().shape), "UINT8")
        tensor.set_data_from_numpy(pictures())
        found = client.infer("m", [tensor])
        with pytest.raises(InferenceServerException, match="leave the context out"):
            client.infer("m", [tensor], parameters={"context": "fog"})
    for name in ("classes", "exits", "experts"):
        np.testing.assert_array_equal(found.as_numpy(name), getattr(expected, name))
    np.testing.assert_allclose(found.as_numpy("confidences"), expected.confidences, atol=1e-5)


def test_confidences_are_those_of_the_expert(experts):
    model = open_model(experts.folder)
    found = model.predict(pictures())
    temperatures = np.asarray(model.manifest.experts.temperatures)[found.experts, found.exits]
    weights = np.exp(found.logits / temperatures[:, None])
    expected = weights[np.arange(len(weights)), found.classes] / weights.sum(axis=1)
    np.testing.assert_allclose(found.confidences, expected, rtol=1e-5)
    assert len(np.unique(temperatures)) > 3


def test_the_backbone_is_written_once_and_each_exit_for_each_expert(experts):
    programs = {path.name for path in experts.folder.glob("*.onnx")}
    assert programs == {
        *(f"segment_{k}.onnx" for k in range(3)),
        *(f"expert_{number}_exit_{k}.onnx" for number in range(3) for k in range(3)),
    }


def test_figures_contain_the_classifier(experts):
    model = open_model(experts.folder)
    table = json.loads((experts.folder / "eenas.json").read_text())["measured"]
    before = json.loads((experts.folder / "eenas.json").read_text())["experts"]
    assert before["classifier"]["kinds"] == list(NAMES)
    macs = [each["macs"] for each in table["exits"]]
    task, network = smallest_task(), load_experts(experts.folder, trust_code=True)
    images = task.test.reader(task.inputs)[np.arange(60)].numpy()
    costs = ExitCosts(Costs.of(macs=macs), 0)
    clean = routed_table(network, in_batches(images, task.test.labels, "clean"), costs)
    assert evaluate(network.policy, clean).expected["macs"] == pytest.approx(experts.contexts[0].macs)
    assert evaluate(network.policy, clean).accuracy == pytest.approx(experts.contexts[0].accuracy)
    assert all(each["latency_ms"] > 0 for each in table["exits"])
    assert "latency" in model.manifest.points[0].expected
    assert len(table["contexts"]) == 5


def test_a_budget_chooses_a_policy_for_every_expert(experts):
    model = open_model(experts.folder)
    cheap = model.set_budget(macs=0.4)
    assert cheap.policy.names == NAMES
    early = model.predict(pictures()).exits.mean()
    model.set_thresholds(None)
    assert (model.predict(pictures()).exits == 2).all()
    assert early < 2
    with pytest.raises(PolicyError, match="give an ExpertPolicy"):
        model.set_policy(ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5)))


def test_the_statistics_count_the_samples_of_all_experts(experts):
    model = open_model(experts.folder)
    found = model.predict(pictures())
    assert [each.left for each in model.statistics] == np.bincount(found.exits, minlength=3).tolist()
    model.warm_up(2)
    assert model.statistics[0].reached == 180


def test_verify_compares_again(experts, folder):
    found = verify(folder, data=smallest_task(), trust_code=True)
    assert found.samples == len(smallest_task().validation)
    assert found.differing == 0


def test_another_weight_in_the_folder_is_a_difference(folder):
    """The checksum is repaired, so that the comparison has to find it."""
    import hashlib

    from safetensors.torch import load_file, save_file

    path = folder / "experts.safetensors"
    state = load_file(path)
    state["experts.1.final.weight"] += 1
    save_file(state, path)
    table = json.loads((folder / "eenas.json").read_text())
    table["files"]["experts.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "eenas.json").write_text(json.dumps(table))
    task = smallest_task()
    flat = distort(task.validation.reader(task.inputs)[np.arange(60)].numpy(), "contrast", 5, np.random.default_rng(0))
    other = Task.from_arrays("flat", np.moveaxis(np.tile(flat, (4, 1, 1, 1)), 1, 3), np.tile(task.validation.labels, 4))
    with pytest.raises(ParityError, match="differ"):
        verify(folder, data=other, trust_code=True)


def test_the_runtime_of_the_folder_needs_no_torch_and_no_eenas(experts, tmp_path):
    folder = shutil.copytree(experts.folder, tmp_path / "device")
    np.save(tmp_path / "images.npy", pictures())
    code = (
        "import sys, json\n"
        "for name in ('torch', 'eenas', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "import numpy as np, runtime\n"
        "found = runtime.load('.').predict(np.load('../images.npy'))\n"
        "print(json.dumps([found.classes.tolist(), found.experts.tolist()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = open_model(experts.folder).predict(pictures())
    assert json.loads(done.stdout) == [here.classes.tolist(), here.experts.tolist()]


def test_other_doors_say_where_to_go(experts, plain_model, folder, tmp_path):
    with pytest.raises(ExportError, match=r"eenas\.load_experts"):
        load(experts.folder, trust_code=True)
    with pytest.raises(ExportError, match=r"has no experts; use eenas\.load"):
        load_experts(plain_model, trust_code=True)
    with pytest.raises(ExportError, match="`eenas experts` fits"):
        calibrate(folder, smallest_task(), max_accuracy_drop=0.01, trust_code=True)
    with pytest.raises(ExportError, match=r"eenas\.load_experts"):
        add_experts(folder, smallest_task(), tmp_path / "again", SPEC, trust_code=True)
    with pytest.raises(ExportError, match="'torch' or 'onnx', got 'pt2'"):
        add_experts(plain_model, smallest_task(), tmp_path / "again", SPEC, format="pt2", trust_code=True)
    other = Task.from_arrays("s", np.random.default_rng(0).normal(size=(80, 2, 16)), np.arange(80) % 4)
    with pytest.raises(EenasError):
        add_experts(plain_model, other, tmp_path / "again", SPEC, trust_code=True)
    assert not (tmp_path / "again").exists()


def test_a_network_without_a_policy_gets_no_experts(tmp_path):
    from dataclasses import replace

    from eenas.programs.model_folder import write_folder
    from tests.exported import smallest_package

    package = smallest_package()
    package.network.policy = None
    untrained = write_folder(replace(package, measured={}), tmp_path / "untrained")
    with pytest.raises(ExportError, match="no fitted policy"):
        add_experts(untrained, smallest_task(), tmp_path / "out", SPEC, trust_code=True)


def test_data_of_other_classes_are_refused(plain_model, tmp_path):
    task = smallest_task()
    images = np.moveaxis(task.train.reader(task.inputs)[np.arange(240)].numpy(), 1, 3)
    other = Task.from_arrays("other", images, np.array(task.train.labels))
    with pytest.raises(ExportError, match="the 4 classes of the network"):
        add_experts(plain_model, other, tmp_path / "out", SPEC, trust_code=True)


def test_the_network_with_experts_does_not_replace_the_one_without(plain_model):
    before = (plain_model / "eenas.json").read_bytes()
    with pytest.raises(ExportError, match="would replace this one; give another folder"):
        add_experts(plain_model, smallest_task(), plain_model / ".." / plain_model.name, SPEC, trust_code=True)
    assert (plain_model / "eenas.json").read_bytes() == before


def test_controllers_are_not_simulated_on_a_model_that_no_controller_adapts(experts):
    source = RecordingSource(data="eenas.testing.smallest:smallest_task", trust_code=True)
    with pytest.raises(PolicyError, match="belong to its experts; simulate one without experts"):
        source.read(experts.folder)


@pytest.mark.parametrize("share", [-1, float("nan"), "x", True])
def test_a_wrong_budget_is_refused_before_any_training(plain_model, tmp_path, share):
    events = []
    with pytest.raises(PolicyError, match="max_macs must be a share of the backbone's MACs from 0 up"):
        add_experts(
            plain_model,
            smallest_task(),
            tmp_path / "out",
            SPEC,
            max_macs=share,
            trust_code=True,
            listener=events.append,
        )
    assert not events


def damaged(folder, change):
    table = json.loads((folder / "eenas.json").read_text())
    change(table)
    (folder / "eenas.json").write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["experts"].pop("classifier"), "experts.classifier is missing"),
        (lambda t: t["experts"].update(more=1), "experts must be a table of"),
        (lambda t: t["experts"]["classifier"].update(shape=[3, 16, 16]), "shape of a sample"),
        (lambda t: t["experts"]["classifier"]["biases"].pop(), "3 finite numbers"),
        (
            lambda t: t["experts"]["classifier"].update(kinds=["pristine", "fog", "snow"]),
            "for the experts pristine, fog",
        ),
        (lambda t: t["experts"]["temperatures"].pop(), "3 lists of 3 numbers"),
        (lambda t: t["experts"]["temperatures"][0].__setitem__(0, 0), "at least 1e-30"),
        (lambda t: t["experts"].update(final_layer=3), "name of a layer or null"),
        (lambda t: t.pop("experts"), "for a network without experts"),
        (lambda t: t.update(policy=t["policy"]["policies"][0]), "policy must be one for each expert"),
        (lambda t: t["measured"]["points"][0].update(policy=t["policy"]["policies"][0]), r"points\[0\].* each expert"),
        (lambda t: t["program"].pop("experts"), "program.experts is missing"),
        (lambda t: t["program"]["experts"].pop(), "a list of 3 experts"),
        (lambda t: t["program"]["experts"][1].pop(), "a list of 3 programs"),
        (lambda t: t["program"]["experts"][1][0].update(file="expert_0_exit_0.onnx"), "expert_1_exit_0.onnx"),
        (lambda t: t["program"]["experts"][1][0].update(shape=[1, 2, 3]), "shape of the features"),
        (lambda t: t["program"]["experts"][1][0].update(takes_previous=True), "must be false"),
        (lambda t: t["program"].update(kind="pt2"), "segment_0.pt2"),
    ],
)
def test_a_damaged_manifest_is_refused_in_one_line(folder, change, words):
    damaged(folder, change)
    with pytest.raises(ExportError, match=words) as error:
        open_model(folder)
    assert "\n" not in str(error.value)


def test_programs_that_are_missing_changed_or_swapped_are_named(folder):
    import hashlib

    program = folder / "expert_1_exit_1.onnx"
    whole = program.read_bytes()
    program.write_bytes(whole[:-1])
    with pytest.raises(ExportError, match=r"expert_1_exit_1\.onnx: has the checksum"):
        open_model(folder)
    program.unlink()
    with pytest.raises(ExportError, match=r"expert_1_exit_1\.onnx: is missing"):
        open_model(folder)
    body = (folder / "segment_1.onnx").read_bytes()
    program.write_bytes(body)
    damaged(
        folder,
        lambda t: t["program"]["experts"][1][1].update(sha256=hashlib.sha256(body).hexdigest()),
    )
    with pytest.raises(ExportError, match=r"expert_1_exit_1\.onnx: takes"):
        open_model(folder)


def test_damaged_weights_of_experts_are_refused(folder):
    (folder / "experts.safetensors").write_bytes(b"nothing")
    with pytest.raises(EenasError, match=r"experts\.safetensors") as error:
        load_experts(folder, trust_code=True)
    assert "\n" not in str(error.value)


def test_a_layer_that_the_backbone_lacks_is_refused(folder):
    damaged(folder, lambda t: t["experts"].update(final_layer="nowhere"))
    with pytest.raises(ExportError, match="'nowhere'"):
        load_experts(folder, trust_code=True)


@settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_refused_in_one_line_or_harmless(folder, data):
    original = (folder / "eenas.json").read_text()
    table = json.loads(original)
    part = data.draw(st.sampled_from(["experts", "policy", "program"]))
    table[part] = data.draw(mutated_table(table[part]))
    (folder / "eenas.json").write_text(json.dumps(table))
    check_one_line(lambda: open_model(folder).predict(pictures()[:4]))
    (folder / "eenas.json").write_text(original)
