"""Reasons why a study's results may mislead: samples that the weights have seen, or a guessing teacher."""

import numpy as np

from eenas.designs.space import may_learn_from_backbone
from eenas.percent import percent
from eenas.policies.proportions import above_chance, higher, largest_share
from eenas.study.context.first_look import FirstLook
from eenas.study.context.study_context import StudyContext

SIGNIFICANCE = 0.05
"""The significance level for differences of accuracy."""
HELD_OUT = ("calibration", "validation")


def seen_samples(context: StudyContext) -> tuple[str, str]:
    """Return a warning and a remark on whether the given weights were trained on calibration and validation samples.

    Both are empty if the weights brought no classifier for the task, or if the samples come from the test source.
    Weights that were trained on train only are correct more often there than on held-out samples.
    """
    look: FirstLook = context.look
    if any(context.task.split(name).source == "test" for name in HELD_OUT) or not look.knows_task:
        return "", ""
    right, samples = _held_out(context)
    seen, of = int(look.given.sum()), len(look.given)
    levels = f"{percent(seen / of)} on {of:,} training samples, {percent(right / samples)} on {samples:,} held-out ones"
    if higher(seen, of, right, samples) < SIGNIFICANCE:
        return "", (
            f"the given weights have {levels}: a significant gap, so they were not trained on calibration and "
            "validation samples, and are overfitted to train"
        )
    return (
        f"the given weights have {levels}: no gap, so they may have been trained on calibration and validation samples "
        "too; accuracies are then too high and thresholds too low. Give test data that the weights have not seen, or "
        "--weights none"
    ), ""


def guessing_teacher(context: StudyContext) -> str:
    """Return a warning if trainings may distil the prepared backbone and its accuracy is not above chance, else ""."""
    if not may_learn_from_backbone(context.settings.space):
        return ""
    right, samples = _held_out(context)
    labels = np.concatenate([context.task.split(name).labels for name in HELD_OUT])
    chance = largest_share(labels)
    if above_chance(right, samples, chance) < SIGNIFICANCE:
        return ""
    return (
        f"the prepared backbone has {percent(right / samples)} on {samples:,} held-out samples, not significantly "
        f"above chance ({percent(chance)}), so training.teacher = 'backbone' would teach noise; set prepare.when to "
        "'always' with more prepare.training.epochs, or training.strategy of the space to 'joint'"
    )


def _held_out(context: StudyContext) -> tuple[int, int]:
    """Return how many calibration and validation samples the plain backbone predicts correctly, and their total."""
    right = samples = 0
    for name in HELD_OUT:
        table = context.plain_table(name)
        right += int((table.logits[:, -1].argmax(axis=1) == table.labels).sum())
        samples += len(table.labels)
    return right, samples
