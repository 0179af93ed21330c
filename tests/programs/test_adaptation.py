"""An exported model that adapts: decisions, feedback, contexts, state, and the same in its own runtime.py."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import InputError, PolicyError, SpecError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import exits_taken
from eenas.policies.controllers.splitee import SplitEE
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.risk.guarantee import Guarantee
from eenas.policies.scores import score
from eenas.programs.runtime import load

from ..exported import MACS, images

ARMS = (0.3, 0.35, 0.4, 0.5, 0.7, 1.0)


@pytest.fixture
def model(exported):
    return load(exported, threads=1)


def confidences(model, x):
    """The temperature-scaled largest probabilities at all exits, [N, K]."""
    found = model.logits(x)
    return np.stack([score(each, t) for each, t in zip(found, model.manifest.temperatures, strict=True)], axis=1)


def test_it_answers_as_the_policy_of_its_controller_and_learns_what_was_seen(model):
    x, _ = images()
    controller = model.adapt("adaee", thresholds=ARMS, warm_up=5, overhead=0.05)
    assert controller is model.controller
    assert controller.exits.costs == tuple(MACS)
    twin = Controller(AdaEE(thresholds=ARMS, warm_up=5, overhead=0.05), controller.exits)
    known = confidences(model, x)
    for index in (*range(len(x)), *range(len(x))):
        arm = twin.choose()
        policy = twin.policies[arm]
        answer = model.predict(x[index : index + 1])
        wanted = exits_taken((twin.arms[arm],), known[index : index + 1])[0, 0]
        assert answer.exits[0] == wanted
        state = policy.start(1)
        for k in range(wanted + 1):
            _, state = policy.decide(k, model.logits(x[index : index + 1])[k], state)
        assert answer.classes[0] == policy.answer(state)[0]
        twin.learn(arm, known[index : index + 1, : wanted + 1].tolist())
    (here,), (there,) = controller.statistics, twin.statistics
    assert here == there
    assert here.samples == 2 * len(x)
    assert len([each for each in here.chosen if each]) > 1
    assert [one.left for one in model.statistics] == list(here.left)


@pytest.mark.parametrize("kind", [AdaEE(thresholds=(0.35,)), SplitEE(threshold=0.35, share=None)])
def test_a_batch_is_answered_like_its_samples_alone(model, kind):
    x, _ = images()
    model.adapt(kind)
    together = model.predict(x)
    policy = model.controller.policies[0]
    model.adapt(None)
    model.set_policy(policy)
    alone = [model.predict(x[index : index + 1]) for index in range(len(x))]
    np.testing.assert_array_equal(together.exits, [int(each.exits[0]) for each in alone])
    np.testing.assert_array_equal(together.classes, [int(each.classes[0]) for each in alone])
    assert len(set(together.exits.tolist())) > 1


def test_contexts_are_told_apart(model):
    x, _ = images()
    controller = model.adapt("adaee", warm_up=10)
    for index in range(30):
        model.predict(x[index : index + 1], context="clean" if index % 3 else "blur:2")
    assert {each.context: each.samples for each in controller.statistics} == {"clean": 20, "blur:2": 10}
    with pytest.raises(PolicyError, match="a context must be a name"):
        model.predict(x[:1], context="")
    model.adapt(None)
    with pytest.raises(PolicyError, match="leave the context out"):
        model.predict(x[:1], context="clean")


def test_what_is_not_answered_is_not_learned(model):
    x, _ = images()
    controller = model.adapt("adaee")
    model.warm_up(4)
    with pytest.raises(InputError):
        model.predict(np.full_like(x[:1], np.nan))
    assert controller.statistics == ()
    assert len(model.predict(x[:0]).classes) == 0
    model.logits(x)
    assert sum(each.samples for each in controller.statistics) == 0


def test_a_controller_that_adapts_is_the_only_one_to_set_the_policy(model):
    before = model.policy
    model.adapt("splitee")
    assert model.policy is before
    for change in (
        lambda: model.set_thresholds(0.5),
        lambda: model.set_budget(macs=1.0),
        lambda: model.set_policy(before),
    ):
        with pytest.raises(PolicyError, match=r"call `adapt\(None\)` first"):
            change()
    assert model.adapt(None) is None
    model.set_thresholds(0.5)


def test_a_guarantee_does_not_cover_what_a_controller_chooses(model):
    given = Guarantee(max_risk=0.01, confidence=0.95, loss="gap", method="binomial", samples=400)
    model.manifest = replace(model.manifest, guarantee=given)
    assert model.guarantee == given
    model.adapt("adaee")
    assert model.guarantee is None
    model.adapt(None)
    assert model.guarantee == given


def test_the_policy_of_the_model_may_be_what_a_guard_watches(model):
    controller = model.adapt("drift_guard", controller={"kind": "fixed"})
    assert isinstance(model.policy, ThresholdPolicy)
    assert controller.arms == (model.policy.thresholds, (None, None))


def test_wrong_settings_are_named(model):
    with pytest.raises(SpecError, match="nearest: 'overhead'"):
        model.adapt("adaee", overhed=0.1)
    with pytest.raises(PolicyError, match="nearest: 'adaee'"):
        model.adapt("adae")
    with pytest.raises(PolicyError, match="3 exits need 3 costs, got 2"):
        model.adapt("adaee", costs=(0, 1))
    other = Controller(AdaEE(), ControlledExits(temperatures=(1.0, 1.0)))
    with pytest.raises(PolicyError, match="belongs to another model"):
        model.adapt(other)
    with pytest.raises(PolicyError, match="has its own settings"):
        model.adapt(model.adapt("adaee"), overhead=0.3)
    kept = model.controller
    with pytest.raises(SpecError):
        model.adapt("splitee", overhed=0.1)
    assert model.controller is kept


def test_a_state_goes_with_its_model(model, exported, tmp_path):
    x, _ = images()
    model.adapt("adaee", warm_up=5)
    model.predict(x)
    model.controller.save(tmp_path / "state.json")
    again = load(exported, threads=1)
    again.adapt("adaee", warm_up=5).load(tmp_path / "state.json")
    assert again.controller.statistics == model.controller.statistics
    table = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**table, "model": "0123456789abcdef"}))
    with pytest.raises(PolicyError, match=r"state\.json: the state belongs to another model"):
        again.controller.load(tmp_path / "state.json")


def test_two_open_copies_may_share_a_controller(model, exported):
    x, _ = images()
    controller = model.adapt("adaee")
    other = load(exported, threads=1)
    assert other.adapt(controller) is controller
    model.predict(x[:5])
    other.predict(x[5:9])
    assert controller.statistics[0].samples == 9


ALONE = """
import sys
sys.modules["torch"] = sys.modules["eenas"] = None  # importing them would fail
import numpy as np
import runtime

model = runtime.load(".", threads=1)
x = np.load(sys.argv[1])
model.adapt("adaee", warm_up=5, overhead=0.05)
exits = [int(model.predict(x[k : k + 1], context="clean").exits[0]) for k in range(len(x))]
model.controller.save("state.json")
model.adapt(runtime.AdaEE(warm_up=5, overhead=0.05)).load("state.json")
(found,) = model.controller.statistics
print(exits, found.context, found.samples)
try:
    model.adapt("./mine.py:Mine")
except runtime.EenasError as error:
    print(error)
"""


def test_the_runtime_beside_a_model_adapts_without_eenas_and_torch(model, exported, tmp_path):
    x, _ = images()
    np.save(tmp_path / "x.npy", x)
    import shutil

    folder = shutil.copytree(exported, tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.')\n{ALONE}", str(tmp_path / "x.npy")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    model.adapt("adaee", warm_up=5, overhead=0.05)
    exits = [int(model.predict(x[k : k + 1], context="clean").exits[0]) for k in range(len(x))]
    first, second = done.stdout.splitlines()
    assert first == f"{exits} clean {len(x)}"
    assert "is Python code, which needs eenas here" in second
