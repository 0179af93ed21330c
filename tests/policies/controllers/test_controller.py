"""A running controller: contexts, feedback, determinism, threads, and its state in files of one or more processes."""

import json
import math
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from eenas.errors import PolicyError, StorageError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller, Feedback
from eenas.policies.controllers.controller_kind import LARGEST_NUMBER
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.splitee import SplitEE
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.testing.controller_contract import random_confidences

EXITS = ControlledExits(temperatures=(1.5, 0.8, 1.0))


def run(controller, rows, context=None):
    """Let samples pass; return the arms."""
    arms = []
    for row in rows:
        arm = controller.choose(context)
        limits = [math.inf if each is None else each for each in controller.arms[arm]]
        k = next((k for k, limit in enumerate(limits) if row[k] >= limit), len(row) - 1)
        controller.learn(arm, [row[: k + 1]], context)
        arms.append(arm)
    return arms


def rows(samples, seed=0):
    return random_confidences(3, samples, seed=seed).tolist()


def test_its_policy_has_the_thresholds_of_the_arm_and_the_temperatures_of_the_model():
    controller = Controller(AdaEE(), EXITS)
    policy = controller.policy()
    assert isinstance(policy, MostConfidentPolicy)
    assert policy.policy == ThresholdPolicy(score="max_softmax", temperatures=(1.5, 0.8, 1.0), thresholds=(1.0, 1.0))
    assert isinstance(Controller(SplitEE(), EXITS).policy(), ThresholdPolicy)
    controller.update(Feedback(policy=policy, confidences=[[0.4, 0.6, 0.9], [1.0]]))
    (found,) = controller.statistics
    assert (found.samples, found.left, found.chosen[-1]) == (2, (1, 0, 1), 2)
    with pytest.raises(PolicyError, match="policy of another controller"):
        controller.update(
            Feedback(policy=ThresholdPolicy(score="max_softmax", temperatures=(1,), thresholds=()), confidences=[])
        )


def test_an_equal_policy_is_as_good_as_the_same():
    controller = Controller(AdaEE(), EXITS)
    copy = Controller(AdaEE(), EXITS).policies[3]
    controller.update(Feedback(policy=copy, confidences=[[0.9]]))
    assert controller.statistics[0].chosen[3] == 1


def test_each_context_has_a_state_of_its_own_and_a_new_one_starts_afresh():
    controller = Controller(AdaEE(warm_up=10), EXITS)
    run(controller, rows(300), "clean")
    assert run(controller, rows(10), "blur:3") == [10] * 10, "nobody leaves early in the first rounds of a new context"
    alone = Controller(AdaEE(warm_up=10), EXITS)
    run(alone, rows(300), "clean")
    assert controller.to_table()["contexts"][0] == alone.to_table()["contexts"][0]
    assert [each.context for each in controller.statistics] == ["clean", "blur:3"]
    for bad in ("", 3, "x" * 201):
        with pytest.raises(PolicyError, match="a context must be a name"):
            controller.choose(bad)


def test_contexts_are_bounded_and_the_oldest_is_forgotten():
    controller = Controller(AdaEE(warm_up=10), EXITS, most_contexts=3)
    for name in ("a", "b", "c", "a", "d"):
        run(controller, rows(20), name)
    assert [each.context for each in controller.statistics] == ["c", "a", "d"]
    assert run(controller, rows(1), "b") == [10]


def test_memory_is_bounded():
    controller = Controller(AdaEE(window=100), EXITS, most_contexts=4)

    def feed(start):
        for number in range(start, start + 40):
            run(controller, rows(50, seed=number), f"context {number % 7}")

    feed(0)
    tracemalloc.start()
    feed(40)
    before = tracemalloc.take_snapshot()
    size = sum(each.size for each in before.statistics("filename"))
    feed(80)
    after = sum(each.size for each in tracemalloc.take_snapshot().statistics("filename"))
    tracemalloc.stop()
    assert after - size < 300_000


def test_confidences_that_are_no_numbers_count_as_zero():
    given, zero = Controller(AdaEE(), EXITS), Controller(AdaEE(), EXITS)
    given.learn(10, [[math.nan, math.inf, 0.5], [0.2, np.float32("nan"), 0.5]])
    zero.learn(10, [[0.0, 0.0, 0.5], [0.2, 0.0, 0.5]])
    assert given.to_table() == zero.to_table()
    for row, message in (
        ([1.2], "in \\[0, 1\\], got 1.2"),
        ([], "needs 1 to 3 confidences, got 0"),
        ([0.1] * 4, "got 4"),
    ):
        with pytest.raises(PolicyError, match=message):
            given.learn(10, [row])


def test_a_stream_of_one_class_whose_exits_are_always_sure_settles_without_a_fault():
    controller = Controller(AdaEE(), EXITS)
    arms = run(controller, [[1.0, 1.0, 1.0]] * 500)
    assert set(arms[60:]) <= set(range(11))
    assert controller.statistics[0].left[0] == 500


def test_it_is_a_function_of_its_seed():
    kind = AdaEE(index="thompson", warm_up=5)
    found = [run(Controller(kind, EXITS, seed=seed), rows(400)) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("kind", [AdaEE(), AdaEE(index="thompson"), AdaEE(window=30), SplitEE(discount=0.99)])
def test_a_saved_state_goes_on_where_it_was(kind, tmp_path):
    first = Controller(kind, EXITS, seed=1, model="abc")
    run(first, rows(200))
    run(first, rows(50), "blur")
    first.save(tmp_path / "state.json")
    second = Controller(kind, EXITS, seed=7, model="abc")
    second.load(tmp_path / "state.json")
    assert second.statistics == first.statistics
    assert run(first, rows(200, seed=1), "blur") == run(second, rows(200, seed=1), "blur")
    assert json.loads((tmp_path / "state.json").read_text())["format"] == 1


def test_the_state_of_another_model_version_or_controller_is_refused(tmp_path):
    file = tmp_path / "state.json"
    first = Controller(AdaEE(), EXITS, model="abc")
    run(first, rows(50))
    first.save(file)
    for other, message in (
        (Controller(AdaEE(), EXITS, model="abd"), "belongs to another model or to another version"),
        (Controller(AdaEE(overhead=0.2, window=20), EXITS, model="abc"), r"other settings \('overhead, window'\)"),
        (Controller(SplitEE(), EXITS, model="abc"), "other settings"),
    ):
        before = other.to_table()
        with pytest.raises(PolicyError, match=f"state.json: .*{message}"):
            other.load(file)
        assert other.to_table() == before
    table = json.loads(file.read_text())
    for changed, message in (
        ({"format": 2}, "format 2, this eenas reads format 1"),
        ({"random": [3, [1], None]}, "random generator is damaged"),
        ({"contexts": {}}, "at most 64 contexts"),
        ({"contexts": [{"name": None}]}, "a context of the state is damaged"),
        ({"contexts": [{**table["contexts"][0], "chosen": [1]}]}, "chosen must be a list of 11"),
        ({"contexts": [{**table["contexts"][0], "left": [1, 2, "x"]}]}, "left must be a finite whole number"),
    ):
        file.write_text(json.dumps({**table, **changed}))
        with pytest.raises(PolicyError, match=message):
            Controller(AdaEE(), EXITS, model="abc").load(file)
    state = table["contexts"][0]["state"]
    for changed in ({"plays": [-1.0] * 11}, {"sums": ["x"] * 11}, {"recent": [[1, 0.5]]}, {"rounds": None}):
        file.write_text(json.dumps({**table, "contexts": [{**table["contexts"][0], "state": {**state, **changed}}]}))
        with pytest.raises(PolicyError):
            Controller(AdaEE(), EXITS, model="abc").load(file)
    for text in ("", "[]", "{}", "\x00", '{"stamp": 3}'):
        file.write_text(text)
        with pytest.raises(PolicyError, match=r"state\.json"):
            Controller(AdaEE(), EXITS, model="abc").load(file)
    with pytest.raises(PolicyError, match=r"none.json.*controller wrote"):
        first.load(tmp_path / "none.json")


def test_the_second_writer_of_a_file_is_told_and_nothing_is_lost(tmp_path):
    file = tmp_path / "state.json"
    first, second = (Controller(AdaEE(), EXITS) for _ in range(2))
    run(first, rows(30))
    first.save(file)
    first.save(file)
    kept = file.read_text()
    with pytest.raises(PolicyError, match="another controller wrote this file"):
        second.save(file)
    assert file.read_text() == kept
    second.load(file)
    second.save(file)
    with pytest.raises(PolicyError, match="another controller wrote this file"):
        first.save(file)
    first.save(file, overwrite=True)
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".part")]
    with pytest.raises(StorageError, match="could not be written"):
        first.save(tmp_path / "nowhere" / "state.json")


PROCESS = """
import sys
from eenas.errors import PolicyError
from eenas.policies.controllers import AdaEE, ControlledExits, Controller

controller = Controller(AdaEE(), ControlledExits(temperatures=(1.0, 1.0)))
refused = 0
for turn in range(40):
    arm = controller.choose()
    controller.learn(arm, [[0.5, 0.9]])
    try:
        controller.save(sys.argv[1])
    except PolicyError:
        refused += 1
        controller.load(sys.argv[1])
print(refused)
"""


def test_processes_that_share_a_file_leave_it_whole(tmp_path):
    file = tmp_path / "state.json"
    command = [sys.executable, "-c", PROCESS, str(file)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [each.communicate()[0] for each in running]
    assert [each.returncode for each in running] == [0, 0]
    assert all(0 <= int(text) <= 40 for text in outputs)
    last = Controller(AdaEE(), ControlledExits(temperatures=(1.0, 1.0)))
    last.load(file)
    assert 40 <= last.statistics[0].samples <= 80


def test_threads_may_share_it():
    controller = Controller(AdaEE(window=20), EXITS, most_contexts=2)
    threads = [
        threading.Thread(target=run, args=(controller, rows(300, seed=number), f"context {number % 3}"))
        for number in range(6)
    ]
    for each in threads:
        each.start()
    for _ in range(20):
        json.dumps(controller.to_table(), allow_nan=False)
    for each in threads:
        each.join()
    assert len(controller.statistics) == 2
    for found in controller.to_table()["contexts"]:
        assert sum(found["chosen"]) == sum(found["left"]) == found["state"]["samples"]


def test_one_exit_cannot_be_controlled():
    with pytest.raises(PolicyError, match="at least two exits, this model has 1"):
        ControlledExits(temperatures=(1.0,))
    with pytest.raises(PolicyError, match="seed must be a finite whole number"):
        Controller(AdaEE(), EXITS, seed=1.5)
    with pytest.raises(PolicyError, match="most_contexts must be at least 1"):
        Controller(AdaEE(), EXITS, most_contexts=0)


def test_damage_that_would_be_noticed_only_later_is_refused_when_the_state_is_read():
    kind = AdaEE(index="thompson", window=20)
    first = Controller(kind, EXITS)
    run(first, rows(50))
    table = json.loads(json.dumps(first.to_table()))
    (context,) = table["contexts"]
    version, numbers, _ = table["random"]
    state = context["state"]
    for changed, message in (
        ({"random": [version, numbers, "x"]}, "random generator is damaged"),
        ({"random": [version, numbers, []]}, "random generator is damaged"),
        ({"contexts": [{**context, "name": []}]}, "a context must be a name"),
        ({"contexts": [context, context]}, "context None twice"),
        ({"controller": {1: 2, "a": 3}}, "other settings"),
        ({"contexts": [{**context, "state": {**state, "plays": [0.5] * 11}}]}, "those of its 'recent' samples"),
        ({"contexts": [{**context, "state": {**state, "rounds": 7.0}}]}, "those of its 'recent' samples"),
        ({"contexts": [{**context, "state": {**state, "recent": [[0, 0.5]] * 20}}]}, "those of its 'recent' samples"),
    ):
        second = Controller(kind, EXITS)
        with pytest.raises(PolicyError, match=message):
            second.restore({**table, **changed})
    second = Controller(kind, EXITS)
    second.restore(table)
    assert run(first, rows(100, seed=1)) == run(second, rows(100, seed=1))


def test_the_largest_counts_of_a_state_have_an_index():
    first = Controller(AdaEE(index="bayes_ucb"), EXITS)
    run(first, rows(60))
    table = json.loads(json.dumps(first.to_table()))
    table["contexts"][0]["state"]["rounds"] = LARGEST_NUMBER
    first.restore(table)
    run(first, rows(60))


@pytest.mark.parametrize("context", [["a"], {}, b"a", 1.5, True])
def test_a_context_that_is_no_text_is_refused_also_if_it_cannot_be_a_key(context):
    with pytest.raises(PolicyError, match="a context must be a name"):
        Controller(AdaEE(), EXITS).choose(context)


@pytest.mark.parametrize("confidences", [0.5, [0.5], [["a"]], [[None]], [[10**400]], None])
def test_feedback_that_is_no_list_of_numbers_is_refused(confidences):
    controller = Controller(AdaEE(), EXITS)
    with pytest.raises(PolicyError, match="confidences must be a list of numbers for each sample"):
        controller.update(Feedback(policy=controller.policy(), confidences=confidences))
    for arm in (-1, 99, True, "a"):
        with pytest.raises(PolicyError, match="arms are numbered from 0 to 10"):
            controller.learn(arm, [[0.5]])


def test_threads_that_save_one_controller_at_once_do_not_take_each_other_for_another_process(tmp_path):
    controller, file, faults = Controller(AdaEE(), EXITS), tmp_path / "state.json", []

    def work():
        try:
            for _ in range(20):
                run(controller, rows(2))
                controller.save(file)
        except PolicyError as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    second = Controller(AdaEE(), EXITS)
    second.load(file)
    assert second.statistics[0].samples == 4 * 20 * 2


def test_a_path_with_a_null_character_is_refused():
    with pytest.raises(StorageError, match="no null character"):
        Controller(AdaEE(), EXITS).save("a\0b")


@dataclass(frozen=True, kw_only=True)
class Faulty(FixedThresholds):
    """A kind that breaks the contract: arms or choices of the wrong form."""

    kind: ClassVar[str] = "faulty"

    given: Any = ((0.5, 0.5),)
    choice: Any = 0

    def arms(self, exits):
        return self.given

    def choose(self, exits, state, random):
        return self.choice


def test_a_kind_that_breaks_the_contract_is_named():
    for given in (None, "ab", (0.5,), 3):
        with pytest.raises(PolicyError, match=r"faulty: arms\(\) must return a tuple of thresholds for each arm"):
            Controller(Faulty(given=given), EXITS)
    for choice in (1, -1, 10**9, "a", None, 0.0, True):
        with pytest.raises(PolicyError, match=r"faulty: choose\(\) must return the number of an arm, 0 to 0"):
            Controller(Faulty(choice=choice), EXITS).policy()
    assert Controller(Faulty(choice=np.int64(0)), EXITS).choose() == 0
