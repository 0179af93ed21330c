"""Training on pristine images as a choice of trials, in a study that distorts a share of its training images."""

from dataclasses import replace

import pytest

from eenas.designs.design import TrainingChoice
from eenas.designs.space import load_space
from eenas.errors import SpecError
from eenas.study.settings.study_spec import load_settings
from eenas.study.trials import design_training
from eenas.study.trials.design_training import DesignTraining, train_design
from eenas.tasks.distortions.distorted_images import DistortedImages
from tests.smallest_study import SETTINGS, run_search, study_context, url

DISTORTIONS = ('task.distortions.kinds=["contrast"]', "task.distortions.severities=[5]", "task.distortions.share=0.5")
DRAWN = (*SETTINGS, *DISTORTIONS, "space.training.distorted=[true, false]", "bank.designs=0")


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return folder, run_search(folder, trials=5, overrides=DRAWN)


def test_trials_draw_both_kinds_of_training(studied):
    _, results = studied
    trained = [each.design for each in results.trials if each.design.branches and each.state == "complete"]
    assert {each.training.distorted for each in trained} == {True, False}


@pytest.mark.parametrize("distorted", [True, False])
def test_a_design_is_trained_on_the_images_that_it_names(studied, monkeypatch, distorted):
    folder, results = studied
    context = study_context(url(folder), DRAWN)
    design = next(each.design for each in results.trials if each.design.branches)
    design = replace(design, training=replace(design.training, distorted=distorted))
    given = []

    def seen(_network, task, _plan, **options):
        given.append((task, options["taught"]))

    monkeypatch.setattr(design_training, "train_network", seen)
    train_design(design, context, DesignTraining.brief(context, bank=None))
    ((task, taught),) = given
    assert isinstance(context.task.train.samples, DistortedImages)
    assert isinstance(task.train.samples, DistortedImages) == distorted
    assert task.train.labels.tolist() == context.task.train.labels.tolist()
    assert (taught is context.taught) == distorted, "answers on other images are not the teacher's"


def test_designs_and_spaces_keep_their_digests():
    assert "distorted" not in TrainingChoice().to_table()
    assert TrainingChoice(distorted=False).to_table()["distorted"] is False
    assert "distorted" not in load_space("default").to_table()["training"]


@pytest.mark.parametrize("more", [(), ('task.distortions.kinds=["contrast"]',)])
@pytest.mark.parametrize("drawn", ["[true, false]", "false"])
def test_pristine_training_is_no_choice_without_distorted_images(more, drawn):
    with pytest.raises(SpecError, match=r"training.distorted .* set task.distortions.share above 0"):
        load_settings(backbone="resnet18", overrides=(*more, f"space.training.distorted={drawn}"))
