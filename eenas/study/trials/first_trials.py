"""The first trials of a study: the best designs of earlier studies, the frozen front, and known designs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna

from eenas.designs.design import Design
from eenas.designs.domains import Domain
from eenas.designs.encode import encode
from eenas.designs.known import known_designs
from eenas.designs.recipes import recipe_for
from eenas.errors import DesignError
from eenas.fronts.hypervolume import REFERENCE_COST, most_added
from eenas.policies.costs import MACS
from eenas.policies.curve import Curve, common_curve
from eenas.policies.operating_point import OperatingPoint
from eenas.progress import Notice
from eenas.records.studies import StudyRecords
from eenas.records.trials import TrialRecords
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.frozen_front import FrozenFront
from eenas.study.trials.design_training import network_digest

_SAME = ("task", "backbone", "weights", "prepare")
"""The keys of the identity that two studies must share for the designs of one to be tried in the other."""

_ASKED = 4
"""The factor by which more designs are checked against the space than are wanted."""

_TRAINED = ("complete", "stopped")
"""The states of trials with their own scores. A pruned trial may still be the best at low cost."""


@dataclass(frozen=True, kw_only=True)
class _EarlierDesign:
    """A design trained by an earlier study. `alike` tells whether that study has the same training settings."""

    study: str
    number: int
    design: Design
    points: tuple[OperatingPoint, ...]
    alike: bool


def enqueue_first(
    study: optuna.Study, context: StudyContext, bank: Bank, front: FrozenFront, identity: Mapping[str, Any]
) -> None:
    """Queue the first trials of a study that has not run any yet, the most promising first.

    The designs come from three sources. (1) Earlier studies in the storage with the same data, splits and prepared
    backbone: the designs that add most hypervolume one after another, as many as `[bank]` allows. (2) The frozen front:
    each design for its own budget and with a matching recipe, except those that an earlier study with the same training
    has already tried. (3) Known designs, which are baselines and always queued. Trials that are already queued, by a
    search that was cut off here, are not queued again.
    """
    spec = context.settings.bank
    earlier = list(_earlier(context, identity, study.study_name)) if spec.use and spec.earlier else []
    tried = {each.design.digest for each in earlier if each.alike}
    frozen = enumerate(_of_front(context, bank, front), start=1)
    wanted = [
        *((f"study {each.study}: {each.number}", each.design) for each in _best(context, earlier)),
        *((f"frozen front: {number}", design) for number, design in frozen if design.digest not in tried),
        *((f"known: {name}", design) for name, design in _known(context)),
    ]
    queue: dict[tuple[tuple[str, Any], ...], str] = {}
    for origin, design in wanted:
        try:
            parameters = tuple(_parameters(design, context).items())
        except DesignError as error:
            context.listener(Notice(f"design {origin!r} is left out: {error}"))
            continue
        held = queue.get(parameters)
        if held is None or (origin.startswith("known") and not held.startswith("known")):
            queue[parameters] = origin  # a known design keeps its place but is named as a baseline
    for parameters, origin in queue.items():
        study.enqueue_trial(dict(parameters), user_attrs={"origin": origin}, skip_if_exists=True)


def _of_front(context: StudyContext, bank: Bank, front: FrozenFront) -> list[Design]:
    """Return the designs of the frozen front to try, as many as `[bank]` asks for: the best within each budget.

    Budgets are evenly spaced shares of the backbone's MACs. The best design within each is chosen on `calibration`;
    ties go to the first. Middle budgets come first, since their networks cover most of the front. A network that is
    best for two budgets is trained for the first one, and the next designs of the front fill up the number.
    """
    count, space = context.settings.bank.designs, context.settings.space
    if not front.designs or count < 2:
        return list(front.designs[:count])
    curves = [_common_curve(context, bank, design) for design in front.designs]
    target, total = space.setting("policy.target_macs"), context.profile.total_macs
    found: dict[str, Design] = {}
    for share in sorted((number / count for number in range(1, count + 1)), key=lambda share: abs(share - 0.5)):
        within = [float(curve.accuracy[curve.costs[MACS] / total <= share].max(initial=0.0)) for curve in curves]
        if not any(within):
            continue  # no design is cheap enough
        design = front.designs[int(np.argmax(within))]
        wanted = target.nearest(share) if isinstance(target, Domain) else target
        policy = replace(design.policy, target_macs=float(wanted))
        for_budget = replace(design, training=recipe_for(space, share), policy=policy).canonical()
        found.setdefault(network_digest(for_budget), for_budget)
    for design in front.designs:
        found.setdefault(network_digest(design), design)
    return list(found.values())[:count]


def _common_curve(context: StudyContext, bank: Bank, design: Design) -> Curve:
    """Return the curve of a design on the frozen backbone, on `calibration`."""
    table = bank.exit_tables(design, context.costs(design))["calibration"]
    return common_curve(table, score=design.policy.score)


def _known(context: StudyContext) -> list[tuple[str, Design]]:
    if not context.settings.search.known_designs:
        return []
    space = context.settings.space
    counts = sorted({space.branches, (space.branches + 1) // 2})
    return known_designs(space, context.profiled_backbone, uniform_counts=counts)


def _earlier(context: StudyContext, identity: Mapping[str, Any], name: str) -> Iterator[_EarlierDesign]:
    """Yield the designs that studies other than `name` trained on the same backbone and data, oldest first."""
    trials = TrialRecords(context.database)
    for record in StudyRecords(context.database).list():
        if record.name == name or any(record.identity.get(key) != identity[key] for key in _SAME):
            continue
        for trial in trials.readable(record.name):
            if trial.design is not None and trial.state in _TRAINED and not trial.missed:
                yield _EarlierDesign(
                    study=record.name,
                    number=trial.number,
                    design=trial.design,
                    points=trial.points,
                    alike=record.identity.get("training") == identity["training"],
                )


def _best(context: StudyContext, earlier: list[_EarlierDesign]) -> list[_EarlierDesign]:
    """Return the designs with most added hypervolume on validation that the space of this study can express.

    The check is slow, so at most _ASKED times as many designs as wanted are checked.
    """
    most = context.settings.bank.earlier
    pool = [each for each in _most_added(context, earlier, _ASKED * most) if _is_expressible(each.design, context)]
    taken = _most_added(context, pool, most)
    if taken:
        studies = ", ".join(sorted({each.study for each in taken}))
        context.listener(Notice(f"first trials: {len(taken)} designs from {studies}"))
    return taken


def _most_added(context: StudyContext, tried: list[_EarlierDesign], count: int) -> list[_EarlierDesign]:
    total, chance = context.profile.total_macs, 1.0 / context.backbone.num_classes
    curves = [
        (np.array([p.accuracy for p in each.points]), np.array([p.expected[MACS] / total for p in each.points]))
        for each in tried
    ]
    taken = most_added(curves, count, reference_cost=REFERENCE_COST, reference_accuracy=chance)
    return [tried[index] for index in taken]


def _is_expressible(design: Design, context: StudyContext) -> bool:
    try:
        _parameters(design, context)
    except DesignError:
        return False
    return True


def _parameters(design: Design, context: StudyContext) -> Mapping[str, Any]:
    return encode(design, context.settings.space, context.profile, branch_macs=context.branch_macs)
