"""Why a study's figures may mislead, found before its trials: samples that weights have seen, a guessing teacher."""

import numpy as np

from eenas.designs.space import may_learn_from_backbone
from eenas.percent import percent
from eenas.policies.proportions import above_chance, higher, largest_share
from eenas.study.context.first_look import FirstLook
from eenas.study.context.study_context import StudyContext

UNLIKELY = 0.05
"""A difference is one where chance alone would make it less often than this."""
HELD_OUT = ("calibration", "validation")


def seen_samples(context: StudyContext) -> tuple[str, str]:
    """A warning and a remark on whether the weights, as they were given, have seen calibration and validation.

    Both are empty where there is nothing to say: the weights brought no classifier for the task, or the samples come
    from the test source. Weights that have seen train only are right more often there than on held-out samples.
    """
    look: FirstLook = context.look
    if any(context.task.split(name).source == "test" for name in HELD_OUT) or not look.knows_task:
        return "", ""
    right, samples = _held_out(context)
    seen, of = int(look.given.sum()), len(look.given)
    levels = f"{percent(seen / of)} on {of:,} training samples, {percent(right / samples)} on {samples:,} held-out ones"
    if higher(seen, of, right, samples) < UNLIKELY:
        return "", (
            f"the given weights have {levels}: a gap beyond noise, so that calibration and validation samples were not "
            "trained on, and the network is overfitted to train"
        )
    return (
        f"the given weights have {levels}: no gap, so that they may have been trained on calibration and validation "
        "samples too; accuracies are then too high and thresholds too low. Give test data that the weights have not "
        "seen, or --weights none"
    ), ""


def guessing_teacher(context: StudyContext) -> str:
    """A warning where trainings may learn from the prepared backbone and its answers are no better than guesses."""
    if not may_learn_from_backbone(context.settings.space):
        return ""
    right, samples = _held_out(context)
    labels = np.concatenate([context.task.split(name).labels for name in HELD_OUT])
    chance = largest_share(labels)
    if above_chance(right, samples, chance) < UNLIKELY:
        return ""
    return (
        f"the prepared backbone has {percent(right / samples)} on {samples:,} held-out samples, not surely more than "
        f"chance ({percent(chance)}), and training.teacher = 'backbone' would teach noise; set prepare.when to "
        "'always' with more prepare.training.epochs, or training.strategy of the space to 'joint'"
    )


def _held_out(context: StudyContext) -> tuple[int, int]:
    """How many of the calibration and validation samples the plain backbone has right, and how many there are."""
    right = samples = 0
    for name in HELD_OUT:
        table = context.plain_table(name)
        right += int((table.logits[:, -1].argmax(axis=1) == table.labels).sum())
        samples += len(table.labels)
    return right, samples
