"""The contract tests of a kind of controller, for the author of a kind to run on its settings."""

import copy
import json
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import MOST_ARMS, ControllerKind, exits_taken
from eenas.policies.controllers.registry import CONTROLLERS, controller_from_table
from eenas.testing.named import home_of


class ControllerContract:
    """A pytest class for a kind of controller. Derive from it and set `controller`.

        class TestMine(ControllerContract):
            controller = "./my_controller.py:MyController"

    `settings` are its settings by name. It is tested on random confidences of 2 and of `num_exits` exits.
    """

    controller: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    num_exits: ClassVar[int] = 4

    def test_it_keeps_the_contract(self) -> None:
        """See `check_controller`."""
        CONTROLLERS.find(self.controller, trust_code=True, relative_to=home_of(self))
        kind = controller_from_table({"kind": self.controller, **self.settings})
        for exits in (2, self.num_exits):
            check_controller(kind, exits)


def check_controller(kind: ControllerKind, num_exits: int, *, rounds: int = 600) -> None:
    """Check a kind of controller against the contract of `ControllerKind`, on random confidences of its exits.

    It has arms for the exits, chooses one of them, and learns from the confidences of the exits that were reached,
    without changing them. The state is plain data for JSON that does not grow without bound, and a controller that
    continues from a saved state does what the first one does; so does one with the same seed. Raises AssertionError
    with the violated rule.
    """
    exits = ControlledExits(temperatures=(1.0,) * num_exits, thresholds=(0.8,) * (num_exits - 1))
    _check_settings(kind, exits)
    confidences = random_confidences(num_exits, rounds)
    first, second = Controller(kind, exits, seed=3), Controller(kind, exits, seed=3)
    sizes = []
    for begin in range(0, rounds, rounds // 4):
        part = confidences[begin : begin + rounds // 4]
        choices = [_follow(each, part) for each in (first, second)]
        assert choices[0] == choices[1], "equal seeds must make equal choices; take randomness from `random` only"
        table = first.to_table()
        text = json.dumps(table, allow_nan=False)
        sizes.append(len(text))
        second = Controller(kind, exits, seed=3)
        second.restore(json.loads(text))
        assert second.to_table() == table, "a state must come back from JSON as it was"
    assert sizes[-1] < 4 * sizes[0] + 200_000, f"a state must not grow with every sample, got {sizes} characters"
    _check_rewards(kind, first.exits, confidences)
    try:
        first.restore({**table, "contexts": [{**table["contexts"][0], "state": {"other": 1}}]})
    except PolicyError:
        return
    raise AssertionError("restore must raise PolicyError for a state that is not one of this kind")


def random_confidences(num_exits: int, samples: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return random confidences [samples, num_exits] in [0, 1], higher at later exits. Some are exactly 0 or 1."""
    generator = np.random.default_rng(seed)
    found = generator.beta(2.0, np.linspace(2.0, 0.5, num_exits), size=(samples, num_exits))
    found[::17], found[5::17] = 0.0, 1.0
    return np.round(found, 6)


def _check_settings(kind: ControllerKind, exits: ControlledExits) -> None:
    assert hash(copy.deepcopy(kind)) == hash(kind), f"equal settings must have equal hashes, got {kind}"
    table = json.loads(json.dumps(kind.to_table(), allow_nan=False))
    assert table.get("kind") == kind.kind, f"the table's kind must be {kind.kind!r}, got {table.get('kind')!r}"
    assert controller_from_table(table) == kind, f"{kind} must come back from its table {table}"
    arms = kind.arms(exits)
    assert 1 <= len(arms) <= MOST_ARMS, f"a controller needs 1 to {MOST_ARMS} arms, got {len(arms)}"
    for arm in arms:
        assert len(arm) == exits.num_exits - 1, f"an arm needs {exits.num_exits - 1} thresholds, got {arm}"
        assert all(each is None or 0 <= each <= 1 for each in arm), f"thresholds must be in [0, 1] or None, got {arm}"
    assert kind.arms(exits) == arms, "arms must be the same at every call"
    state = kind.start(exits)
    assert isinstance(state, dict), f"start must return a dict, got {type(state).__name__}"
    assert kind.start(exits) is not state, "start must return a new state at every call"
    assert 0 <= kind.choose(exits, state, Random(0)) < len(arms), "choose must return the number of an arm"


def _follow(controller: Controller, confidences: NDArray[np.float64]) -> list[int]:
    """Run a controller on samples, one at a time, and return its choices."""
    taken, rows, found = exits_taken(controller.arms, confidences), confidences.tolist(), []
    for sample, row in enumerate(rows):
        arm = controller.choose()
        assert 0 <= arm < len(controller.arms), f"choose must return an arm, got {arm} of {len(controller.arms)}"
        reached = row[: taken[sample][arm] + 1]
        given = list(reached)
        controller.learn(arm, (reached,))
        assert reached == given, "learn must not change the confidences"
        found.append(arm)
    return found


def _check_rewards(kind: ControllerKind, exits: ControlledExits, confidences: NDArray[np.float64]) -> None:
    arms = len(kind.arms(exits))
    shapes = {
        "exit_rewards": (kind.exit_rewards(exits, confidences), confidences.shape),
        "rewards": (kind.rewards(exits, confidences), (len(confidences), arms)),
        "best_rewards": (kind.best_rewards(exits, confidences), (len(confidences),)),
    }
    for name, (found, shape) in shapes.items():
        assert np.shape(found) == shape, f"{name} must have the shape {list(shape)}, got {list(np.shape(found))}"
        assert np.isfinite(found).all(), f"{name} must be finite numbers"
