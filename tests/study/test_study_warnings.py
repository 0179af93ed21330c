"""What weights have seen is not held out, or it is said; a teacher that guesses is said too."""

import numpy as np
import pytest

import eenas.results.search as run
from eenas.backbones.load import load_backbone
from eenas.progress import Notice
from eenas.results.read import open_results
from eenas.study.context.first_look import FirstLook
from eenas.study.context.held_out import as_searched, held_out_of
from eenas.study.context.study_warnings import guessing_teacher, seen_samples
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_task
from tests.smallest_study import study_context, url
from tests.study.trained_backbone import SETTINGS, images_of, trained, untrained


def with_test_source(tests=100, train=("train", "calibration", "validation"), seed=0):
    """The smallest task in two sources."""
    (x, y), (test_x, test_y) = images_of(smallest_task(seed), train), images_of(smallest_task(seed=1), ("train",))
    return Task.from_arrays("two", x, y, test_x[:: 240 // tests][:tests], test_y[:: 240 // tests][:tests], flip=False)


def context_of(folder, module, task, *overrides):
    heard = []
    given = {"backbone": module, "task": task, "listener": heard.append}
    context = study_context(url(folder), (*SETTINGS, *overrides), space=None, **given)
    return context, [event.text for event in heard if isinstance(event, Notice)]


def test_what_given_weights_know_is_taken_from_the_test_source(tmp_path):
    context, said = context_of(tmp_path, trained(), with_test_source())
    assert (len(context.task.train), len(context.task.calibration), len(context.task.validation)) == (340, 25, 25)
    assert {context.task.split(name).source for name in ("calibration", "validation", "test")} == {"test"}
    assert context.settings.task.held_out == "test"
    (line,) = [text for text in said if "test source" in text]
    assert (
        "calibration and validation (25 and 25 samples) come from the test source, and 50 remain for the report" in line
    )
    assert seen_samples(context) == ("", "")


@pytest.mark.parametrize(
    ("module", "overrides"), [(untrained, ()), (trained, ("task.held_out=train",)), (lambda: untrained(5), ())]
)
def test_others_stay_where_they_are(tmp_path, module, overrides):
    context, said = context_of(tmp_path, module(), task := with_test_source(), *overrides)
    assert context.task is task
    assert context.settings.task.held_out == "train"
    assert not any("test source" in text for text in said)


def test_a_test_source_that_is_too_small_is_said(tmp_path):
    context, said = context_of(tmp_path, trained(), with_test_source(tests=8))
    assert context.task.validation.source == "train"
    assert any("the test source is too small for calibration and validation" in text for text in said)


def test_splits_that_were_chosen_stay(tmp_path):
    look = FirstLook(load_backbone(trained(), num_classes=4, input_size=8), smallest_task().train, None, 0)
    task = smallest_task()  # one source
    assert held_out_of(look, task, "auto", pytest.fail) == (task, "train")
    assert "part" not in vars(look)  # and nothing was measured to find that out


def test_a_study_of_before_took_them_from_train():
    settings, _ = load_settings(backbone="-", overrides=SETTINGS)
    assert settings.task.held_out == "auto"
    assert as_searched(settings).task.held_out == "train"
    chosen, _ = load_settings(backbone="-", overrides=(*SETTINGS, "task.held_out=test"))
    assert as_searched(chosen) == chosen


def test_no_gap_is_a_warning(tmp_path):
    context, _ = context_of(tmp_path, trained(), smallest_task())
    warning, remark = seen_samples(context)
    assert "no gap, so they may have been trained on calibration and validation samples too" in warning
    assert "on 240 training samples" in warning
    assert "on 100 held-out ones" in warning
    assert remark == ""


def test_a_gap_is_a_remark(tmp_path):
    """Labels of the held-out samples are shuffled, so that the network is right about train only."""
    task = smallest_task()
    for name in ("calibration", "validation"):
        split = task.split(name)
        split.labels = np.roll(split.labels, len(split) // 2)
    context, _ = context_of(tmp_path, trained(), task)
    warning, remark = seen_samples(context)
    assert warning == ""
    assert "a significant gap, so they were not trained on calibration and validation samples" in remark


def test_untrained_weights_have_seen_nothing(tmp_path):
    context, _ = context_of(tmp_path, untrained(), smallest_task())
    assert seen_samples(context) == ("", "")


def test_a_teacher_at_chance_is_said_where_it_may_teach(tmp_path):
    context, _ = context_of(tmp_path, untrained(), smallest_task())
    line = guessing_teacher(context)
    assert "not significantly above chance (25.0 %), so training.teacher = 'backbone' would teach noise; set" in line
    assert guessing_teacher(context_of(tmp_path, trained(), smallest_task())[0]) == ""
    joint, _ = context_of(tmp_path, untrained(), smallest_task(), "space.training.strategy=joint")
    assert guessing_teacher(joint) == ""


def test_warnings_are_kept_and_said(tmp_path):
    heard = []
    found = run.search(
        trained(),
        task=smallest_task(),
        storage=f"sqlite:///{tmp_path}/eenas.db",
        device="cpu",
        overrides=(*SETTINGS, "bank.use=false", "training.epochs=0.2"),
        trials=1,
        listener=heard.append,
    )
    (warning,) = found.warnings
    assert warning.startswith("the given weights have ")
    assert open_results(f"sqlite:///{tmp_path}/eenas.db").warnings == found.warnings
    assert f"warning: {warning}" in [event.text for event in heard if isinstance(event, Notice)]
