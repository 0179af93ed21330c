"""Replay of a controller on recorded samples, one at a time, as it would have run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import exits_taken
from eenas.policies.controllers.recording import Recording
from eenas.policies.exit_table import ExitTable


@dataclass(frozen=True, kw_only=True, eq=False)
class Replayed:
    """What a controller did in T rounds: the sample, the arm that decided and the exit where it left, int64 [T]."""

    samples: NDArray[np.int64]
    arms: NDArray[np.int64]
    exits: NDArray[np.int64]


def replay(
    controller: Controller,
    recording: Recording | ExitTable,
    order: NDArray[np.int64] | None = None,
    contexts: Sequence[str | None] | None = None,
) -> Replayed:
    """Run a controller on samples of a recording or exit table, one at a time, and return what it did.

    The controller learns from each sample what it would have seen, no more. `order` [T] are the numbers of the samples,
    by default each once as recorded. `contexts` [N] are told to the controller. The temperatures of a table are fitted
    on it. Raises PolicyError if the controller is for another number of exits.
    """
    known = Recording.of(recording) if isinstance(recording, ExitTable) else recording
    if len(known.exits) != controller.exits.num_exits:
        raise PolicyError(
            f"the controller is for {plural(controller.exits.num_exits, 'exit')}, the recording has {len(known.exits)}"
        )
    numbers = np.arange(len(known)) if order is None else np.asarray(order, dtype=np.int64)
    rows, taken = known.confidences.tolist(), exits_taken(controller.arms, known.confidences).tolist()
    names = [None] * len(known) if contexts is None else contexts
    arms, exits = np.empty(len(numbers), dtype=np.int64), np.empty(len(numbers), dtype=np.int64)
    for turn, sample in enumerate(numbers.tolist()):
        context = names[sample]
        arm = controller.choose(context)
        left = taken[sample][arm]
        controller.learn_checked(arm, (rows[sample][: left + 1],), context)
        arms[turn], exits[turn] = arm, left
    return Replayed(samples=numbers, arms=arms, exits=exits)


def answered_correctly(recording: Recording, exits: NDArray[np.int64], final_rule: str) -> NDArray[np.bool_] | None:
    """Return whether samples [N] are answered correctly if each leaves at its exit [N, ...], or None if unknown.

    With the `final_rule` "most_confident", the final exit answers as the most confident one; ties go to the later exit.
    """
    if recording.correct is None:
        return None
    correct = recording.correct.copy()
    if final_rule == "most_confident":
        last = recording.confidences.shape[1] - 1
        best = last - recording.confidences[:, ::-1].argmax(axis=1)
        correct[:, last] = np.take_along_axis(recording.correct, best[:, None], axis=1)[:, 0]
    shape = exits.reshape(len(exits), -1)
    return np.take_along_axis(correct, shape, axis=1).reshape(exits.shape)
