"""The runtime: it answers like the network sample by sample, frees the batch, counts, and refuses other batches."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import eenas
from eenas.errors import DeviceError, ExportError, InputError, PolicyError
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.programs.file_answers import answer_files
from eenas.programs.runtime import load
from eenas.testing.smallest import smallest_task
from tests.policies.gates import random_policy

from ..exported import BACKBONE_MACS, images, smallest_package


@pytest.fixture
def model(exported):
    return load(exported, threads=1)


def one_by_one(network, x, policy):
    """Slow and obvious: every sample alone, through the whole network, leaving at the first exit that lets it go."""
    classes, exits, logits = [], [], []
    with torch.no_grad():
        for index in range(len(x)):
            state = policy.start(1)
            for k, found in enumerate(network(torch.from_numpy(x[index : index + 1]))):
                leave, state = policy.decide(k, found.numpy(), state)
                if leave[0]:
                    classes.append(int(policy.answer(state)[0]))
                    exits.append(k)
                    logits.append(found.numpy()[0])
                    break
    return np.array(classes), np.array(exits), np.array(logits)


PACKAGE = Path(eenas.__file__).parents[1]
TEMPERATURES = (1.5, 0.7, 1.0)
POLICIES = [
    ThresholdPolicy(score="max_softmax", temperatures=TEMPERATURES, thresholds=(0.6, 0.6)),
    ThresholdPolicy(score="entropy", temperatures=TEMPERATURES, thresholds=(None, 0.2)),
    ThresholdPolicy(score="margin", temperatures=TEMPERATURES, thresholds=(0.0, 0.2)),
    PatiencePolicy(exits=3, patience=1),
    VotePolicy(exits=3, ratio=0.6, least=2),
    random_policy("policy_gradient", exits=3, size=1.0),
    random_policy("jei_dnn", exits=3, hidden=0, size=5.0),
    random_policy("learned_to_exit", exits=3, hidden=0, size=5.0),
    policy_from_table(
        {
            "kind": "geometric",
            "weights": [[0.1], [0.2, 0.9], [-0.4, 0.0, 0.3]],
            "biases": [[0.1, 0, 0, 0.2]] * 3,
            "policy": {
                "kind": "most_confident",
                "score": "max_softmax",
                "temperatures": [1.5, 0.7, 1.0],
                "policy": {"score": "margin", "temperatures": [1.5, 0.7, 1.0], "thresholds": [0.5, 0.4]},
            },
        }
    ),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.kind} {policy.label()}")
def test_it_answers_like_the_network_sample_by_sample_in_the_order_of_the_input(model, policy):
    x, _ = images()
    model.set_policy(policy)
    classes, exits, logits = one_by_one(smallest_package().network, x, policy)
    for order in (np.arange(len(x)), np.random.default_rng(0).permutation(len(x))):
        answer = model.predict(x[order])
        np.testing.assert_array_equal(answer.exits, exits[order])
        np.testing.assert_array_equal(answer.classes, classes[order])
        np.testing.assert_allclose(answer.logits, logits[order], atol=1e-4)
    alone = [model.predict(x[index : index + 1]) for index in range(20)]
    assert [(int(one.classes[0]), int(one.exits[0])) for one in alone] == list(zip(classes, exits, strict=True))[:20]
    np.testing.assert_allclose(np.concatenate([one.logits for one in alone]), logits[:20], atol=1e-4)
    assert all(one.confidences.shape == (1,) and one.classes.dtype == np.int64 for one in alone)
    sizes = [1, 0, 7, len(x) - 8]
    parts = [model.predict(part).exits for part in np.split(x, np.cumsum(sizes)[:-1])]
    np.testing.assert_array_equal(np.concatenate(parts), exits)


def test_samples_that_leave_free_the_rest_of_the_batch(model):
    x, _ = images()
    seen = []
    for k, segment in enumerate(model.segments):
        watched = lambda features, previous, k=k, segment=segment: (  # noqa: E731
            seen.append((k, len(features))) or segment(features, previous)
        )
        model.segments = (*model.segments[:k], watched, *model.segments[k + 1 :])
    exits = model.predict(x).exits
    reached = [(k, int((exits >= k).sum())) for k in range(3)]
    assert seen == reached
    assert len(x) > reached[1][1] > reached[2][1] > 0
    seen.clear()
    model.set_thresholds(0.0)
    model.predict(x)
    assert seen == [(0, len(x))]


def test_it_counts_what_each_exit_did(model):
    x, _ = images()
    exits = np.concatenate([model.predict(part).exits for part in (x, x[:5], x[:1], x[7:8])])
    assert [one.left for one in model.statistics] == np.bincount(exits, minlength=3).tolist()
    assert [one.reached for one in model.statistics] == [int((exits >= k).sum()) for k in range(3)]
    assert [one.name for one in model.statistics] == ["0", "2", "final"]
    assert all(one.seconds > 0 and one.deciding > 0 for one in model.statistics)
    model.reset_statistics()
    model.warm_up(4)
    model.logits(x)
    assert sum(one.reached for one in model.statistics) == 0


def test_raw_images_are_preprocessed_and_confidences_are_probabilities_of_the_answer(model):
    x, raw = images()
    one, other = model.predict(x), model.predict(raw)
    np.testing.assert_array_equal(one.exits, other.exits)
    np.testing.assert_array_equal(one.logits, other.logits)
    for index in (0, 11):
        exit_ = one.exits[index]
        weights = np.exp(one.logits[index].astype(np.float64) / model.manifest.temperatures[exit_])
        assert one.confidences[index] == pytest.approx(weights[one.classes[index]] / weights.sum())
    assert one.confidences.min() >= 0.25  # of four classes the likeliest


def test_pictures_are_given_one_by_one_or_in_a_list(model):
    one, other = (np.full((8, 8, 3), value, dtype=np.uint8) for value in (10, 200))
    expected = model.preprocess(one, other)
    for given in (([one, other],), ((one, other),), (one, [other]), ([], one, (other,))):
        np.testing.assert_array_equal(model.preprocess(*given), expected)
    assert model.preprocess([]).shape == (0, *expected.shape[1:])


def test_the_first_image_file_is_answered_by_a_model_that_has_predicted(model, tmp_path, monkeypatch):
    from PIL import Image

    Image.new("RGB", (8, 8), (250, 20, 30)).save(tmp_path / "a.png")
    model.reset_statistics()
    seen, predict = [], model.predict
    monkeypatch.setattr(model, "predict", lambda batch: seen.append(int(batch.max())) or predict(batch))
    missing, answer, _ = answer_files(model, [tmp_path / "b.png", tmp_path / "a.png", tmp_path / "a.png"])
    assert "no such file" in missing.reason
    assert answer.milliseconds > 0
    assert seen == [0, 0, 0, 250, 250]
    assert sum(one.left for one in model.statistics) == 2  # those for warming up are not counted


def test_thresholds_and_budgets_are_set_while_it_runs(model):
    x, _ = images()
    model.set_thresholds(None)
    assert set(model.predict(x).exits) == {2}
    model.set_thresholds(None, 0.0)
    assert set(model.predict(x).exits) == {1}
    dear = model.set_budget(macs=1.0)
    cheap = model.set_budget(macs=0.25)
    assert cheap.expected["macs"] <= 0.25 * BACKBONE_MACS < dear.expected["macs"] <= BACKBONE_MACS
    assert model.policy == cheap.policy
    shares = np.bincount(model.predict(x).exits, minlength=3) / len(x)  # the points are of these very samples
    np.testing.assert_allclose(shares, cheap.shares)
    assert model.set_budget(latency_ms=0.25).expected["latency"] <= 0.25
    enough = model.set_budget(accuracy=0.74)
    assert enough.accuracy >= 0.74
    assert all(p.expected["macs"] >= enough.expected["macs"] for p in model.manifest.points if p.accuracy >= 0.74)


@pytest.mark.parametrize(
    ("budget", "match"),
    [
        ({"macs": 0.1}, r"at most 10\.0 % of the backbone's MACs; the nearest costs 22\.2 %"),
        ({"latency_ms": 0.1}, r"at most 0\.1 ms; the nearest costs 0\.2 ms"),
        ({"accuracy": 1.0}, r"has an accuracy of 100\.00 %; the highest is"),
        ({}, "a budget takes macs, latency_ms or accuracy"),
        ({"macs": -1}, "numbers of at least 0"),
        ({"macs": 50}, "macs is a share of the backbone.s MACs .*, got 50; give 0.5 for 50 %"),
    ],
)
def test_a_budget_that_no_point_meets_says_the_nearest(model, budget, match):
    before = model.policy
    with pytest.raises(PolicyError, match=match):
        model.set_budget(**budget)
    assert model.policy is before


def test_thresholds_that_cannot_be_are_refused(model, monkeypatch):
    for wrong, match in (((1.5,), r"in \[0, 1\]"), ((0.1, -0.1), r"in \[0, 1\]"), ((0.1,) * 3, "K - 1 thresholds")):
        with pytest.raises(PolicyError, match=match):
            model.set_thresholds(*wrong)
    for wrong in ("high", "0.5", True, np.True_, b"0"):
        with pytest.raises(PolicyError, match="must be a number"):
            model.set_thresholds(wrong)
    model.set_thresholds(np.float32(0.5))
    monkeypatch.setattr(type(model), "exits", ("final",))
    with pytest.raises(PolicyError, match=r"in \[0, 1\]"):
        model.set_thresholds(2.0)  # of one exit, which has no threshold
    monkeypatch.undo()
    model.set_policy(PatiencePolicy(exits=3, patience=1))
    with pytest.raises(PolicyError, match="policy 'patience' has no thresholds"):
        model.set_thresholds(0.5)
    with pytest.raises(PolicyError, match="for 4 exits, this model has 3"):
        model.set_policy(PatiencePolicy(exits=4, patience=1))


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        ([[1.0]], "a NumPy array, got list"),
        (np.zeros((2, 3, 8, 8)), r"float32 \[N, 3, 8, 8\], or images uint8 .* got float64 \[2, 3, 8, 8\]"),
        (np.zeros((3, 8, 8), np.float32), r"got float32 \[3, 8, 8\]"),
        (np.zeros((2, 8, 8, 3), np.float32), r"got float32 \[2, 8, 8, 3\]"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"channels before rows.*got uint8 \[2, 8, 8, 3\]"),
        (np.zeros((2, 3, 9, 8), np.uint8), r"got uint8 \[2, 3, 9, 8\]"),
        (np.zeros(7, np.uint8), r"got uint8 \[7\]"),
        (np.zeros((), np.float32), r"got float32 \[\]"),
        (np.array([object()]), "got object"),
        (np.full((2, 3, 8, 8), np.nan, np.float32), "NaN or infinity in sample 0 of 2"),
    ],
)
def test_a_batch_that_it_cannot_take_is_refused_in_one_line(model, batch, match):
    with pytest.raises(InputError, match=match) as error:
        model.predict(batch)
    assert "\n" not in str(error.value)
    assert len(model.predict(images()[0]).exits) == 60


def test_large_finite_numbers_are_no_error(model):
    x = np.full((1, 3, 8, 8), 2e36, np.float32)  # their sum overflows, the network's numbers do not
    with np.errstate(all="raise"):
        assert len(model.predict(x).exits) == 1


def test_a_sample_whose_numbers_overflow_in_the_network_is_no_answer(model):
    x = images()[0][:4].copy()
    before = model.predict(x)
    x[2] = np.where(np.random.default_rng(0).random(x[2].shape) < 0.5, -3e38, 3e38)
    for policy in (
        model.policy,
        replace(model.policy, thresholds=(None, None)),
        replace(model.policy, thresholds=(0, 0)),
    ):
        model.set_policy(policy)
        for batch, named in ((x, "sample 2 of 4"), (x[2:3], "sample 0 of 1")):
            with pytest.raises(
                InputError, match=rf"numbers of {named} overflow in the network: the logits of exit '\w+' are"
            ):
                model.predict(batch)
    assert np.array_equal(model.predict(x[:2]).logits.shape, before.logits[:2].shape)


def test_what_is_no_batch_exit_or_folder_is_one_line(model, exported):
    for batch, rounds in ((-1, 3), (1.5, 3), (True, 3), (1, -1), (1, None)):
        with pytest.raises(InputError, match=r"warm_up: (batch|rounds) must be a whole number of at least 0, got"):
            model.warm_up(batch, rounds=rounds)
    model.warm_up(0)
    for kind in (np.float32, np.uint8):
        with pytest.raises(InputError, match=r"got a masked array; use batch.filled"):
            model.predict(np.ma.masked_array(np.zeros((2, 3, 8, 8), kind), mask=np.ones((2, 3, 8, 8), bool)))
    for k in (-1, 3):
        with pytest.raises(InputError, match=f"exits are numbered from 0 to 2, got {k}"):
            model.reach(images()[0][:1], k)
    for folder, match in (
        ("x" * 5000, "x{200}…: has no eenas.json"),
        (None, "is a path, got NoneType"),
        (3, "got int"),
    ):
        with pytest.raises(ExportError, match=match):
            load(folder)


def test_settings_that_are_not_there_are_refused(exported):
    for options, match in (
        ({"provider": "tpu"}, "must be cpu or cuda, got 'tpu'"),
        ({"threads": 0}, "whole number from 1 to .*, got 0; omit it"),
        ({"threads": 1.5}, "whole number from 1 to .*, got 1.5"),
        ({"threads": 10**6}, "whole number from 1 to .* of .* cores., got 1000000"),
    ):
        with pytest.raises(DeviceError, match=match):
            load(exported, **options)
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="has no CUDAExecutionProvider; install onnxruntime-gpu"):
            load(exported, provider="cuda")


def run(code, cwd):
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_eenas_runtime_is_the_same_and_imports_no_torch(exported, tmp_path):
    assert eenas.runtime.load is load
    x, _ = images()
    np.save(tmp_path / "x.npy", x)
    found = run(
        f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import numpy, eenas\n"
        f"model = eenas.runtime.load({str(exported)!r}, threads=1)\n"
        "print(model.predict(numpy.load('x.npy')).exits.tolist(), [n for n in ('torch', 'onnx') if n in sys.modules])",
        tmp_path,
    )
    assert found == f"{load(exported).predict(x).exits.tolist()} []"


ALONE = """
import sys
from importlib.abc import MetaPathFinder
allowed = {"numpy", "onnxruntime", "runtime", *sys.stdlib_module_names}
needed = {"flatbuffers", "google", "packaging", "coloredlogs", "humanfriendly", "sympy", "mpmath"}  # by onnxruntime
class Only(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed | needed:
            raise ImportError(f"{name} is not on this device")
sys.meta_path.insert(0, Only())
sys.path.insert(0, ".")
import numpy, runtime
model = runtime.load(".", threads=1)
model.warm_up()
answer = model.predict(numpy.load("x.npy"))
try:
    model.predict(numpy.zeros((1, 3, 8, 8)))
except runtime.InputError as error:
    assert "float64" in str(error)
model.set_budget(macs=0.5)
print(answer.exits.tolist(), answer.classes.tolist(), [name for name in ("eenas", "torch") if name in sys.modules])
"""


def test_runtime_py_works_with_numpy_and_onnxruntime_alone(exported, tmp_path):
    device = tmp_path / "device"
    device.mkdir()
    for file in exported.iterdir():
        if file.name not in ("weights.safetensors", "design.json", "README.md", "model.onnx"):
            shutil.copy(file, device)
    x, _ = images()
    np.save(device / "x.npy", x)
    answer = load(exported).predict(x)
    assert run(ALONE, device) == f"{answer.exits.tolist()} {answer.classes.tolist()} []"


def test_runtime_py_decides_by_learned_gates(exported, tmp_path):
    policy = random_policy(exits=3, size=1.0)
    device = tmp_path / "device"
    shutil.copytree(exported, device)
    table = json.loads((device / "eenas.json").read_text(encoding="utf-8"))
    table["policy"] = policy.to_table()
    (device / "eenas.json").write_text(json.dumps(table), encoding="utf-8")
    x, _ = images()
    np.save(device / "x.npy", x)
    model = load(exported)
    model.set_policy(policy)
    answer = model.predict(x)
    assert len(set(answer.exits.tolist())) > 1
    found = run(ALONE.replace("model.set_budget(macs=0.5)", ""), device)
    assert found == f"{answer.exits.tolist()} {answer.classes.tolist()} []"


def test_the_smallest_task_leaves_at_every_exit(model):
    assert set(model.predict(images()[0]).exits) == {0, 1, 2}
    assert model.classes == smallest_task().classes
