"""What tables tell of how a network was trained and decides."""

import dataclasses

import pytest

from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.designs.design import Placed, PolicyChoice
from eenas.designs.training_choice import TrainingChoice
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.study.context.traits import Traits
from tests.smallest_networks import small_design

THRESHOLDS = ThresholdPolicy(score="max_softmax", temperatures=(1.0, 1.0, 1.0), thresholds=(0.5, 0.5))
OTHER = next(name for name in ("two_stage", "joint") if name != TrainingChoice().strategy)


def design(branches=2, *, cascade=False, **training):
    made = [Placed(f"block{number}", Fc()) for number in range(branches)]
    if cascade:
        made[1:] = [Placed(each.cut_point, Cascade(branch=each.branch)) for each in made[1:]]
    return small_design(*made, num_classes=3, training=TrainingChoice(**training), policy=PolicyChoice())


def test_a_network_with_every_default_has_no_words():
    assert Traits.of(design(), THRESHOLDS) == Traits()
    assert Traits().words() == ""


def test_the_plain_backbone_has_none_whatever_it_was_drawn_with():
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=())
    assert Traits.of(design(0, strategy=OTHER), policy) == Traits()


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"strategy": OTHER}, f"strategy {OTHER}"),
        ({"strategy": "hybrid", "hybrid": "two_stage_distillation"}, "strategy two_stage_distillation"),
        ({"strategy": TrainingChoice().strategy, "loss_weights": "boosted"}, "boosted"),
        ({"strategy": TrainingChoice().strategy, "cascade": True}, "cascade"),
    ],
)
def test_training_and_network(training, words):
    assert Traits.of(design(**training), THRESHOLDS).words() == words


def test_the_policy_is_what_was_fitted_however_it_is_wrapped():
    patience = PatiencePolicy(exits=3, patience=1)
    assert Traits.of(design(), patience).words() == "policy patience"
    surest = MostConfidentPolicy(score="max_softmax", temperatures=(1.0,) * 3, policy=patience)
    assert Traits.of(design(), surest).words() == "policy patience, most confident exit answers last"
    weights = tuple((0.0,) * (k + 1) for k in range(3))
    both = GeometricPolicy(weights=weights, biases=((0.0, 0.0, 0.0),) * 3, policy=surest)
    found = Traits.of(design(cascade=True), both)
    assert (found.policy, found.ensemble, found.final_rule) == ("patience", "geometric", "most_confident")
    assert found.words() == "cascade, policy patience, geometric ensemble, most confident exit answers last"
    assert dataclasses.asdict(found)["cascade"] is True
