"""Model folders whose experts have their own batch normalisation: a program for each segment of each expert."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from eenas.deployment.expert_addition import add_experts
from eenas.errors import ExportError
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.expert_training import ExpertTraining
from eenas.networks.experts.own_norms import norm_state
from eenas.programs.experts.expert_folder import load_experts
from eenas.programs.runtime import load as open_model
from eenas.tasks.distortions.distortion import distort
from eenas.testing.smallest import smallest_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(plain_model, tmp_path_factory):
    spec = ExpertSpec(
        kinds=("contrast",),
        severities=(3, 5),
        training=ExpertTraining(samples=640, batch_size=32),
        batch_norm="per_kind_tuned",
    )
    out = tmp_path_factory.mktemp("own") / "model"
    return add_experts(plain_model, smallest_task(), out, spec, format="onnx", max_macs=0.8, trust_code=True)


@pytest.fixture(scope="module")
def images():
    task = smallest_task()
    clean = task.test.reader(task.inputs)[np.arange(60)].numpy()
    return np.concatenate([clean, distort(clean, "contrast", 5, np.random.default_rng(0))])


def test_programs_answer_as_the_network_in_any_batch(made, images):
    network, model = load_experts(made.folder, trust_code=True), open_model(made.folder)
    theirs, ours = network.predict(torch.from_numpy(images)), model.predict(images)
    assert set(ours.experts.tolist()) == {0, 1}
    assert ours.experts.tolist() == theirs.experts.tolist()
    assert ours.classes.tolist() == theirs.classes.tolist()
    assert ours.exits.tolist() == theirs.exits.tolist()
    assert len(set(ours.exits.tolist())) > 1
    np.testing.assert_allclose(ours.logits, theirs.logits.numpy(), atol=1e-4)
    for index in (0, 70):
        one = model.predict(images[index : index + 1])
        assert (int(one.classes[0]), int(one.exits[0])) == (int(ours.classes[index]), int(ours.exits[index]))
    assert made.parity.differing == 0


def test_each_expert_has_its_segments_and_the_card_tells_their_size(made):
    assert {path.name for path in made.folder.glob("*.onnx")} == {
        f"{prefix}segment_{k}.onnx" for prefix in ("", "expert_1_") for k in range(3)
    }
    network = load_experts(made.folder, trust_code=True)
    first, other = (norm_state(network.body_of(number)) for number in (0, 1))
    assert not any(torch.equal(first[key], other[key]) for key in first if key.endswith("running_var"))
    added = sum(each.numel() for each in network.expert(1).state_dict().values())
    added += sum(each.numel() for each in other.values())
    assert made.figures.expert_weights == added
    assert f"The experts add {added:,} weights" in (made.folder / "README.md").read_text()


def test_the_runtime_of_the_folder_needs_no_torch_and_no_eenas(made, images, tmp_path):
    folder = shutil.copytree(made.folder, tmp_path / "device")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, json\n"
        "for name in ('torch', 'eenas', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "import numpy as np, runtime\n"
        "found = runtime.load('.').predict(np.load('../images.npy'))\n"
        "print(json.dumps([found.classes.tolist(), found.experts.tolist()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = open_model(made.folder).predict(images)
    assert json.loads(done.stdout) == [here.classes.tolist(), here.experts.tolist()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["experts"].update(own_norms=1), "own_norms must be true or false"),
        (lambda t: t["experts"].pop("own_norms"), "a list of 2 experts"),
        (lambda t: t["program"]["experts"][0].pop(), "a list of 3 programs"),
        (lambda t: t["program"]["experts"][0][1].update(shape=[1, 2, 3]), "that of the first expert"),
        (lambda t: t["program"]["experts"][0][1].update(takes_previous=True), "that of the first expert"),
        (lambda t: t["program"]["experts"][0][1].update(file="segment_1.onnx"), "expert_1_segment_1.onnx"),
    ],
)
def test_a_damaged_manifest_is_refused_in_one_line(made, tmp_path, change, words):
    folder = shutil.copytree(made.folder, tmp_path / "model")
    table = json.loads((folder / "eenas.json").read_text())
    change(table)
    (folder / "eenas.json").write_text(json.dumps(table))
    with pytest.raises(ExportError, match=words) as error:
        open_model(folder)
    assert "\n" not in str(error.value)
