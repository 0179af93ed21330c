"""Preparation by measuring: what is trained is kept, what is new is fitted, what is untrained is trained."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from eenas.errors import SpecError
from eenas.frozen.frozen_head import read_head
from eenas.progress import Notice
from eenas.study.context.backbone import given_backbone
from eenas.study.context.backbone.backbone_training import Attempt, HeldOut
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.study_context import make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import PrepareSpec, load_settings
from eenas.tasks.task import Task
from eenas.testing.smallest import SIZE, smallest_task
from tests.study.trained_backbone import SETTINGS, images_of, trained, untrained


def relabelled(labels_of, splits=("train", "calibration", "validation", "test")):
    """The smallest task under other labels."""
    images, labels = images_of(smallest_task(), splits)
    return Task.from_arrays("other", images, labels_of(labels), flip=False)


def halves(labels):
    """Two classes: above and below."""
    return labels // 2


class Prepared:
    """A context before and after preparation, and what was said."""

    def __init__(self, folder, module=None, *overrides, task=None, name="-", **options):
        settings, _ = load_settings(backbone=name, overrides=(*SETTINGS, *overrides), **options)
        self.heard = []
        self.context = make_context(
            settings,
            StudyReference(
                storage=f"sqlite:///{folder}/eenas.db",
                backbone=module,
                task=task or smallest_task(),
                trust_code=True,
                listener=self.heard.append,
            ),
            device="cpu",
        )
        self.before = copy.deepcopy(self.context.backbone.module.state_dict())
        self.done = prepare_backbone(self.context)

    @property
    def said(self):
        (line,) = [e.text for e in self.heard if isinstance(e, Notice) and e.text.startswith("backbone: ")]
        return line

    @property
    def changed(self):
        """The tensors that preparation changed."""
        after = self.done.backbone.module.state_dict()
        return {name for name, value in self.before.items() if not torch.equal(value, after[name])}

    def accuracy(self, split="test"):
        part = self.context.task.split(split)
        return read_head(self.done.backbone.module, self.done.backbone.transform, part).correct(part.labels).mean()


def factory():
    """What `package.module:factory` names."""
    return trained()


@pytest.mark.parametrize("source", ["module", "factory", "file"])
def test_what_is_trained_is_kept(tmp_path, source):
    if source == "module":
        found = Prepared(tmp_path, trained())
    elif source == "factory":
        found = Prepared(tmp_path, name=f"{__name__}:factory")
    else:
        torch.save(trained().state_dict(), tmp_path / "w.pt")
        found = Prepared(tmp_path, name="eenas.testing.smallest:smallest_backbone", weights=str(tmp_path / "w.pt"))
    assert found.changed == set()
    assert found.accuracy() > 0.9
    assert re.match(
        r"backbone: kept as given, 9\d\.\d % on 240 training samples \(a classifier fitted .*: \d", found.said
    )


@pytest.mark.parametrize("source", ["module", "factory"])
def test_what_is_untrained_is_trained_whoever_brings_it(tmp_path, source):
    module = untrained() if source == "module" else None
    found = Prepared(tmp_path, module, "prepare.learning_rate=0.01", name="eenas.testing.smallest:smallest_backbone")
    assert any(name.endswith("running_mean") for name in found.changed)  # more than the classifier
    assert found.accuracy() > 0.6
    assert "at chance level: everything trained" in found.said


def test_a_named_architecture_without_weights_is_trained_as_ever(tmp_path):
    found = Prepared(
        tmp_path, None, "prepare.training.epochs=0.3", "space.cost_cap=1.0", name="cifar_resnet20", weights="none"
    )
    assert found.context.backbone.untrained
    assert re.fullmatch(r"backbone: trained on all of train; \d+\.\d % on validation", found.said)
    assert "part" not in vars(found.context.look)  # nothing was measured for it


def test_a_new_classifier_is_fitted_on_frozen_features(tmp_path):
    found = Prepared(tmp_path, trained(), "prepare.backbone_rate=0", task=relabelled(halves))
    assert found.changed == {"4.2.weight", "4.2.bias"}
    assert found.accuracy() > 0.9
    assert (
        re.match(r"backbone: new classifier, head fitted on frozen features 9\d\.\d %", found.said)
        or "100.0 %" in found.said
    )
    assert "on 60 held-out training samples" in found.said


def test_a_classifier_of_other_classes_is_fitted_anew(tmp_path):
    """The numbers of the classes are others, so that the given classifier is at chance and its features are not."""
    torch.save(trained().state_dict(), tmp_path / "w.pt")
    found = Prepared(
        tmp_path,
        None,
        "prepare.backbone_rate=0",
        task=relabelled(lambda labels: (labels + 1) % 4),
        name="eenas.testing.smallest:smallest_backbone",
        weights=str(tmp_path / "w.pt"),
    )
    assert "at chance level, head fitted on frozen features" in found.said
    assert found.changed == {"4.2.weight", "4.2.bias"}
    assert found.accuracy() > 0.85


@pytest.mark.parametrize("wins", [0.1, 1.0, None])
def test_fine_tuning_is_kept_where_it_wins(tmp_path, monkeypatch, wins):
    rates = []

    def judged(context, network, task, held, rate, stages):
        rates.append(rate)
        assert len(task.train) + len(held) == len(context.task.train)
        won = rate == wins
        return Attempt(HeldOut(np.full(len(held), won), 0.0 if won else 9.0), 1)

    monkeypatch.setattr(given_backbone, "attempt", judged)
    found = Prepared(tmp_path, trained(), task=relabelled(halves))
    assert rates == [0.1, 1.0]
    assert ("0.0.weight" in found.changed) == (wins is not None)
    ways = {0.1: "fine-tuned at 0.1 of the rate 100.0 % (kept)", 1.0: "fine-tuned at the full rate 100.0 % (kept)"}
    assert ways.get(wins, "(kept), fine-tuned at 0.1 of the rate 0.0 %, ") in found.said
    assert found.said.count("(kept)") == 1
    assert {"4.2.weight", "4.2.bias"} <= found.changed


@pytest.mark.parametrize(
    ("known", "right", "won"), [(True, 90, None), (True, 95, 0.1), (False, 88, 0.1), (False, 87, None)]
)
def test_given_weights_are_fine_tuned_beyond_noise_only(known, right, won):
    """The classifier alone has 88 of 100; unknown weights are trained where that is no worse."""

    def scores(count):
        return HeldOut(np.arange(100) < count, 1.0)

    tried = {0.1: Attempt(scores(right), 1), 1.0: Attempt(scores(80), 1)}
    assert given_backbone._winner(scores(88), tried, known=known) == won


def test_fine_tuning_really_trains(tmp_path):
    found = Prepared(tmp_path, trained(), "prepare.backbone_rate=1", task=relabelled(halves))
    share = re.search(r"fine-tuned at the full rate (\d+\.\d) %( \(kept\))? on 60", found.said)
    assert share is not None
    assert float(share[1]) > 80
    assert found.accuracy() > 0.9


def test_it_is_found_again(tmp_path):
    first = Prepared(tmp_path, trained(), task=relabelled(halves))
    again = Prepared(tmp_path, trained(), task=relabelled(halves))
    assert again.said.startswith("backbone: prepared before (")
    assert again.done.backbone.digest == first.done.backbone.digest
    kept = [Prepared(tmp_path, trained()).said for _ in range(2)]
    assert "kept as given" in kept[0]
    assert kept[1].startswith("backbone: prepared before")
    assert "kept as given" in kept[1]


def test_always_trains_and_never_does_not(tmp_path):
    for name in "anq":
        (tmp_path / name).mkdir()
    always = Prepared(tmp_path / "a", trained(), "prepare.when=always")
    assert "0.0.weight" in always.changed
    assert "trained on all of train" in always.said
    never = Prepared(tmp_path / "n", trained(), "prepare.when=never", task=relabelled(halves))
    assert never.changed == set()
    assert any(
        "the backbone's classifier is new and prepare.when is 'never'" in getattr(e, "text", "") for e in never.heard
    )
    quiet = Prepared(tmp_path / "q", trained(), "prepare.when=never")
    assert not any("never" in getattr(e, "text", "") for e in quiet.heard)


def test_two_classes_of_which_one_is_rare(tmp_path):
    """Nine tenths are of one class, so that 90 % is chance."""
    task = relabelled(lambda labels: ((labels == 0) & (np.arange(len(labels)) % 3 > 0)).astype(int), ("train", "test"))
    always_no = untrained(2)
    with torch.no_grad():
        always_no[4][2].weight.zero_()
        always_no[4][2].bias.copy_(torch.tensor([1.0, 0.0]))
    found = Prepared(tmp_path, always_no, task=task)
    assert 0.75 < found.context.look.chance < 0.9
    assert not found.context.look.is_above_chance
    assert "at chance level" in found.said


def test_a_classifier_that_is_not_linear_is_trained(tmp_path):
    module = torch.nn.Sequential(*list(untrained())[:4])
    module.append(torch.nn.Sequential(torch.nn.Conv2d(32, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()))
    found = Prepared(tmp_path, module)
    assert "its classifier is not one linear layer: trained on all of train" in found.said
    assert "0.0.weight" in found.changed


def test_few_samples_of_each_class_are_enough(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE, 3), np.uint8)
    task = Task.from_arrays("few", images, np.arange(24) % 4, flip=False)
    assert len(task.validation) == 4
    found = Prepared(tmp_path, trained(), "training.batch_size=2", "prepare.training.batch_size=2", task=task)
    assert "on 3 held-out training samples" in found.said or "on 4 held-out" in found.said


def test_a_rate_that_is_no_share_is_refused():
    with pytest.raises(SpecError, match=r"backbone_rate must be a share of learning_rate in \[0, 1\], got 2"):
        PrepareSpec(backbone_rate=2)
    assert replace(PrepareSpec(), backbone_rate=0).backbone_rate == 0
