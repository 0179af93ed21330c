"""Published early-exit networks for text as rivals of a study: DeeBERT, PABEE and BERxiT."""

from dataclasses import dataclass, replace
from typing import Any

from eenas.branches.branch import Branch
from eenas.branches.presets import deebert, pabee
from eenas.designs.design import Design, Placed
from eenas.designs.known import default_choices
from eenas.designs.placement import candidates
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import with_robustness
from eenas.policies.right_answers import pack, right_answers
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.known_networks import KnownNetwork
from eenas.study.rivals.trained_tables import keep_tables, trained_tables
from eenas.study.trials.scores import DISTORTED_VALIDATION


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A branch behind every layer, with the values of training and policy that the publication states.

    Rates and weight decay are those of the search space, as for every network of a study.
    """

    branch: Branch
    training: dict[str, Any]
    policy: dict[str, Any]


PUBLISHED = {
    "deebert": PublishedNetwork(
        branch=deebert(),
        training={"strategy": "two_stage", "loss_weights": "equal"},
        policy={"kind": "threshold", "score": "entropy"},
    ),
    "pabee": PublishedNetwork(
        branch=pabee(),
        training={"strategy": "joint", "loss_weights": "linear", "final_weight": 1.0},
        policy={"kind": "patience"},
    ),
    "berxit": PublishedNetwork(
        branch=deebert(),
        training={"strategy": "hybrid", "hybrid": "alternating", "loss_weights": "equal", "final_weight": 1.0},
        policy={"kind": "learned_to_exit"},
    ),
}
"""DeeBERT (Xin et al. 2020), PABEE (Zhou et al. 2020) and BERxiT (Xin et al. 2021) by their names in a study."""


def published_design(name: str, context: StudyContext) -> Design | None:
    """Return the design of a published network on the backbone of a study; None if its features are no masked tokens.

    It has a branch at every cut point behind the first layer.
    """
    profile, known = context.profile, PUBLISHED[name]
    points = [profile.cut_points[index] for index in candidates(profile) if profile.macs[index] > 0]
    if not points or not all(point.shape.kind == "tokens" and point.shape.carried == 1 for point in points):
        return None
    training, policy = default_choices(context.settings.space)
    plain: dict[str, Any] = {"gradient_equilibrium": False, "weight_average": 0.0, "label_smoothing": 0.0}
    rule: dict[str, Any] = {"per_exit": False, "ensemble": "none", "final_rule": "last"}
    return replace(
        context.plain_design(),
        branches=tuple(Placed(cut_point=point.name, branch=known.branch) for point in points),
        training=replace(training, **plain | known.training),
        policy=replace(policy, **rule | known.policy),
    ).canonical()


def published_networks(context: StudyContext, bank: Bank) -> list[KnownNetwork]:
    """Return the published networks that the settings name, trained like a trial, with their own policies only."""
    found = []
    for name in context.settings.baselines.published:
        design = published_design(name, context)
        tables = None if design is None else trained_tables(context, bank, design)
        if design is None or tables is None:
            continue
        calibration, validation = tables["calibration"], tables["validation"]
        points = Fitting(calibration, design.policy).operating_points(validation)
        found.append(
            KnownNetwork(
                name=name,
                kind="published",
                design=design,
                points=tuple(with_robustness(point, tables.get(DISTORTED_VALIDATION)) for point in points),
                right=tuple(pack(right_answers(point.policy, validation)) for point in points),
                parameters=context.costs(design).parameters,
                artifacts=keep_tables(context, name, tables),
            )
        )
    return found
