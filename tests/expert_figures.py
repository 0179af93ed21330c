"""Made-up figures of a network with two experts beside that for clean images."""

from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.frozen.experts.expert_worth import ContextWorth
from eenas.policies.costs import CostValues
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint

NAMES = ("pristine", "gaussian_blur", "fog")


def worth(context, accuracy, plain, chosen):
    return ContextWorth(
        context=context, accuracy=accuracy, macs=50.0, plain_accuracy=plain, plain_macs=40.0, chosen=tuple(chosen)
    )


def expert_figures():
    one = ThresholdPolicy(score="max_softmax", temperatures=(1.0, 1.0), thresholds=(0.5,))
    costs = CostValues({"macs": 50.0})
    point = OperatingPoint(
        policy=ExpertPolicy(names=NAMES, policies=(one,) * 3),
        accuracy=0.75,
        expected=costs,
        worst=costs,
        shares=(0.5, 0.5),
        exit_accuracy=(0.8, 0.7),
    )
    return ExpertFigures(
        names=NAMES,
        samples=60,
        balanced=False,
        classifier_macs=2,
        backbone_macs=100.0,
        macs=(30.0, 105.0),
        accuracy=(0.6, 0.7),
        reported=point,
        points=(point,),
        contexts=(
            worth("clean", 0.875, 0.9, (0.9, 0.1, 0)),
            worth("gaussian_blur:1", 0.75, 0.625, (0.5, 0.5, 0)),
            worth("gaussian_blur:5", 0.5, 0.25, (0, 1, 0)),
            worth("fog:1", 0.75, 0.5, (0.25, 0, 0.75)),
            worth("fog:5", 0.5, 0.5, (0, 0.25, 0.75)),
        ),
    )
