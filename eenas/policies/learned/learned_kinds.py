"""The kinds of learned policies: each names a way to train the gates, and the features that they read."""

from dataclasses import dataclass
from typing import ClassVar

from eenas.policies.learned.learned_policy import LearnedPolicy


@dataclass(frozen=True, kw_only=True)
class PolicyGradientPolicy(LearnedPolicy):
    """Gates that maximise the expected reward exactly, without sampling (`policy_gradient`)."""

    kind: ClassVar[str] = "policy_gradient"


@dataclass(frozen=True, kw_only=True)
class ReinforcePolicy(LearnedPolicy):
    """Gates trained by REINFORCE (Williams 1992), as in EPNet (Dai et al. 2020)."""

    kind: ClassVar[str] = "reinforce"


@dataclass(frozen=True, kw_only=True)
class BackwardRegressionPolicy(LearnedPolicy):
    """Optimal stopping by regression from the last exit back (Longstaff and Schwartz 2001)."""

    kind: ClassVar[str] = "backward_regression"


@dataclass(frozen=True, kw_only=True)
class EENetPolicy(LearnedPolicy):
    """Gates of EENet (Demir and Akbas 2019), trained on the recursive mixture of the exits' probabilities."""

    kind: ClassVar[str] = "eenet"


@dataclass(frozen=True, kw_only=True)
class JeiDnnPolicy(LearnedPolicy):
    """Linear gates of JEI-DNN (Regol et al. 2024) on four confidences, trained towards the cheapest good exit."""

    kind: ClassVar[str] = "jei_dnn"
    inputs: ClassVar[tuple[int, ...]] = (0, 2, 1, 6)


@dataclass(frozen=True, kw_only=True)
class LearnedToExitPolicy(LearnedPolicy):
    """One linear head for all exits that predicts wrong answers, as BERxiT's learning to exit (Xin et al. 2021)."""

    kind: ClassVar[str] = "learned_to_exit"
    inputs: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class FailurePredictionPolicy(LearnedPolicy):
    """One linear head for each exit that predicts, on three confidences and agreement, whether its answer is right."""

    kind: ClassVar[str] = "failure_prediction"
    inputs: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class EarliestPolicy(LearnedPolicy):
    """One linear controller for all exits, trained as that of EARLIEST (Hartvigsen et al. 2019), made for time."""

    kind: ClassVar[str] = "earliest"
    inputs: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4, 5)


LEARNED: dict[str, type[LearnedPolicy]] = {
    each.kind: each
    for each in (
        PolicyGradientPolicy,
        ReinforcePolicy,
        BackwardRegressionPolicy,
        EENetPolicy,
        JeiDnnPolicy,
        LearnedToExitPolicy,
        FailurePredictionPolicy,
        EarliestPolicy,
    )
}
"""The learned kinds by name, the default first."""
