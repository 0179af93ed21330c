"""Weights that nobody trained are told from trained ones, and what is trained anyway is not a study's identity."""

import pytest
import timm
import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.errors import StudyError
from eenas.progress import Notice
from eenas.study.context.backbone.fresh_weights import is_fresh, structure_digest
from eenas.testing.smallest import smallest_backbone
from tests.smallest_study import SETTINGS, Killed, kill_in, run_search

pytestmark = pytest.mark.slow


def plain(activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Without normalisation, whose statistics would tell."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), activation(), nn.Flatten(), nn.Linear(576, 32), activation(), nn.Linear(32, 4)
    )


def initialised(how):
    module = plain()
    for each in module:
        if isinstance(each, nn.Linear | nn.Conv2d):
            how(each.weight)
            nn.init.zeros_(each.bias)
    return module


@pytest.mark.parametrize(
    "make",
    [
        smallest_backbone,
        plain,
        lambda: timm.create_model("vit_tiny_patch16_224", depth=2),
        lambda: timm.create_model("resnet10t"),
        lambda: nn.LSTM(8, 32),
        lambda: initialised(nn.init.orthogonal_),
        lambda: initialised(nn.init.kaiming_normal_),
        lambda: initialised(nn.init.trunc_normal_),
        lambda: initialised(nn.init.xavier_uniform_),
    ],
)
def test_weights_as_usual_initialisations_draw_them_are_fresh(make):
    assert all(is_fresh(make()) for _ in range(3))


@pytest.mark.parametrize("make", [smallest_backbone, plain])
def test_weights_that_were_trained_for_a_moment_are_not(make):
    torch.manual_seed(0)
    module = make()
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3)
    images, labels = torch.randn(64, 3, 8, 8), torch.arange(64) % 4
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()
        optimizer.step()
    assert not is_fresh(module)


def test_the_structure_is_what_a_module_is_but_for_the_values_of_its_tensors():
    def digest(module):
        return structure_digest(load_backbone(module, num_classes=4, input_size=8))

    assert digest(plain()) == digest(plain())
    assert digest(plain()) != digest(plain(nn.Tanh))
    assert digest(plain()) != digest(smallest_backbone())


def go(folder, module=None, *, when="auto", **options):
    overrides = (*SETTINGS, f"prepare.when={when}", *options.pop("overrides", ()))
    module = smallest_backbone() if module is None else module
    return run_search(folder, module=module, **{"trials": 2, "overrides": overrides, **options})


@pytest.mark.parametrize("when", ["auto", "always"])
def test_a_script_that_draws_its_weights_anew_goes_on_with_its_study(tmp_path, when):
    first = go(tmp_path, when=when)
    again = go(tmp_path, when=when)
    assert again.name == first.name
    assert again.trials == first.trials
    assert again.backbone == first.backbone


def test_a_script_that_was_killed_in_preparation_goes_on_with_the_weights_that_it_had(tmp_path):
    """What is trained is the first command's network, from its first weights."""
    module, heard = smallest_backbone(), []
    state = {name: value.clone() for name, value in module.state_dict().items()}
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole").mkdir()
    with pytest.raises(Killed):
        go(tmp_path / "cut", module, listener=kill_in("training the backbone", after=40))
    cut = go(tmp_path / "cut", listener=heard.append)
    assert any("training the backbone: resuming from" in event.text for event in heard if isinstance(event, Notice))
    module.load_state_dict(state)
    whole = go(tmp_path / "whole", module)
    assert cut.name == whole.name
    assert cut.backbone.accuracy == whole.backbone.accuracy
    assert [trial.exit_accuracy for trial in cut.trials] == [trial.exit_accuracy for trial in whole.trials]


def test_weights_that_are_kept_are_identity_and_it_is_said_what_differs(tmp_path):
    first, heard = go(tmp_path, when="never", trials=1), []
    other = go(tmp_path, when="never", trials=1, listener=heard.append)
    assert other.name != first.name
    (said,) = [event.text for event in heard if isinstance(event, Notice) and "is a new study" in event.text]
    assert said.startswith(
        f"{other.name} is a new study; it differs from {first.name}: the backbone (its code or initial"
    )
    assert "give the same weights, drawn with the same seed" in said


def test_another_study_says_field_by_field_what_differs(tmp_path):
    first, heard = go(tmp_path, trials=1), []
    other = ("training.epochs=0.25", "space.branch.width=[16]", "constraints.max_branches=2")
    go(tmp_path, trials=1, overrides=other, listener=heard.append)
    (said,) = [event.text for event in heard if isinstance(event, Notice) and "is a new study" in event.text]
    assert "training.epochs is 0.25 and was 0.5" in said
    assert "constraints.max_branches is 2 and was not set" in said
    assert "space.settings" in said
    assert "seed" not in said
    with pytest.raises(StudyError, match=r"belongs to another search: .*training.epochs is 0.25 and was 0.5.*--name"):
        go(tmp_path, trials=1, overrides=other, name=first.name)
