"""A study's first trials: the best of earlier studies, the front of the frozen backbone, and known designs."""

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
from eenas.errors import DesignError, EenasError
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
"""What of two studies' identities must be equal for the designs of one to be tried in the other."""

_ASKED = 4
"""How many times as many designs as are wanted are held against the space."""

_TRAINED = ("complete", "stopped")
"""The states of trials with scores of their own; one that was given up may still be the best where it is cheap."""


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """A design that an earlier study trained; `alike` where that trained as briefly as this study does."""

    study: str
    number: int
    design: Design
    points: tuple[OperatingPoint, ...]
    alike: bool


def enqueue_first(
    study: optuna.Study, context: StudyContext, bank: Bank, front: FrozenFront, identity: Mapping[str, Any]
) -> None:
    """Queue the first trials of a study that has run none yet, those first that promise most.

    No scores are told with them. What is queued already, by a search that was cut off here, is not queued again.
    Of earlier studies in the storage with the same data, splits and prepared backbone come the designs that add most
    hypervolume one after another, as `[bank]` allows. What an earlier study with the same training tried of the frozen
    front had its chance there, and is not queued for that front again. Known designs are baselines and come always.
    Those of the frozen front come each for a budget of its own, with the recipe that suits it.
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
            queue[parameters] = origin  # a known design keeps the place, under the name that baselines go by
    for parameters, origin in queue.items():
        study.enqueue_trial(dict(parameters), user_attrs={"origin": origin}, skip_if_exists=True)


def _of_front(context: StudyContext, bank: Bank, front: FrozenFront) -> list[Design]:
    """As many designs of the frozen front as `[bank]` asks for: the best one within each of as many budgets.

    Budgets are evenly spaced shares of the backbone's MACs, and `calibration` says which design is best within each,
    the first among equals. Middle budgets come first, since their networks cover most of the front. A network that is
    wanted for two budgets is trained for the first of them, and the next designs of the front make up the number.
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
            continue  # nothing is so cheap
        design = front.designs[int(np.argmax(within))]
        wanted = target.nearest(share) if isinstance(target, Domain) else target
        policy = replace(design.policy, target_macs=float(wanted))
        for_budget = replace(design, training=recipe_for(space, share), policy=policy).canonical()
        found.setdefault(network_digest(for_budget), for_budget)
    for design in front.designs:
        found.setdefault(network_digest(design), design)
    return list(found.values())[:count]


def _common_curve(context: StudyContext, bank: Bank, design: Design) -> Curve:
    """What a design reaches on the frozen backbone, on `calibration`."""
    table = bank.exit_tables(design, context.costs(design))["calibration"]
    return common_curve(table, score=design.policy.score)


def _known(context: StudyContext) -> list[tuple[str, Design]]:
    if not context.settings.search.known_designs:
        return []
    space = context.settings.space
    return known_designs(
        space,
        context.profile,
        num_classes=context.backbone.num_classes,
        inputs=context.backbone.transform.inputs,
        branch_macs=context.branch_macs,
        uniform_counts=sorted({space.branches, (space.branches + 1) // 2}),
    )


def _earlier(context: StudyContext, identity: Mapping[str, Any], name: str) -> Iterator[_Tried]:
    """The designs that other studies than `name` trained on the same backbone and data, the oldest first."""
    trials = TrialRecords(context.database)
    for record in StudyRecords(context.database).list():
        if record.name == name or any(record.identity.get(key) != identity[key] for key in _SAME):
            continue
        for trial in trials.list(record.name):
            if trial.state not in _TRAINED or any(value > 0 for value in trial.violations.values()):
                continue
            try:
                yield _Tried(
                    study=record.name,
                    number=trial.number,
                    design=Design.from_table(trial.design, key=f"{record.name}: trial {trial.number}"),
                    points=tuple(OperatingPoint.from_table(point) for point in trial.points),
                    alike=record.identity.get("training") == identity["training"],
                )
            except EenasError:  # the user's own branches, which this study was not told of, or a newer eenas's
                continue


def _best(context: StudyContext, earlier: list[_Tried]) -> list[_Tried]:
    """Those with most added hypervolume on validation among what this study's space can say.

    Whether it can takes a while to find out, so only a few times as many as are wanted are asked about.
    """
    most = context.settings.bank.earlier
    pool = [each for each in _most_added(context, earlier, _ASKED * most) if _can_say(each.design, context)]
    taken = _most_added(context, pool, most)
    if taken:
        studies = ", ".join(sorted({each.study for each in taken}))
        context.listener(Notice(f"first trials: {len(taken)} of the designs that {studies} found"))
    return taken


def _most_added(context: StudyContext, tried: list[_Tried], count: int) -> list[_Tried]:
    total, chance = context.profile.total_macs, 1.0 / context.backbone.num_classes
    curves = [
        (np.array([p.accuracy for p in each.points]), np.array([p.expected[MACS] / total for p in each.points]))
        for each in tried
    ]
    taken = most_added(curves, count, reference_cost=REFERENCE_COST, reference_accuracy=chance)
    return [tried[index] for index in taken]


def _can_say(design: Design, context: StudyContext) -> bool:
    try:
        _parameters(design, context)
    except DesignError:
        return False
    return True


def _parameters(design: Design, context: StudyContext) -> Mapping[str, Any]:
    return encode(design, context.settings.space, context.profile, branch_macs=context.branch_macs)
