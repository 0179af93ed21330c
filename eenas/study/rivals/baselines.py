"""The baselines of a study: the plain backbone, networks of the frozen front, static and published networks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.designs.known import default_choices
from eenas.designs.placement import candidates
from eenas.errors import BranchError
from eenas.fronts.hypervolume import REFERENCE_COST, most_added
from eenas.networks.tables import with_distorted
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.kinds.threshold import ONE_EXIT
from eenas.policies.operating_point import OperatingPoint, evaluate, with_robustness
from eenas.policies.right_answers import pack, right_answers
from eenas.progress import Finished, Notice, Started
from eenas.records.claims import Claims
from eenas.records.studies import StudyRecords
from eenas.records.trials import TrialRecords
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.frozen_front import FrozenFront, filled, first_branches
from eenas.study.rivals.known_networks import BACKBONE, NETWORKS, KnownNetwork, NetworkKind, frozen_design
from eenas.study.rivals.published import published_networks
from eenas.study.rivals.trained_tables import Tables, keep_tables, trained_tables
from eenas.study.trials.scores import DISTORTED_VALIDATION, score_tables

PHASE = "measuring baselines"
REFRESHED = "static networks refreshed after trials"
"""The key of the baselines for the number of ended trials by which `refresh_static` has looked."""


def static_branches(context: StudyContext) -> list[Placed]:
    """Return the candidates for the last branch of a static network, in depth order.

    They are the first branches of the bank, and average pooling at cut points without one. A cut point where average
    pooling is impossible too has none.
    """
    banked = first_branches(context) if context.settings.bank.use else []
    found = []
    for index in candidates(context.profile):
        point = context.profile.cut_points[index]
        there = [placed for placed in banked if placed.cut_point == point.name]
        pooled = PoolFc(pool="avg", size=1)
        try:
            pooled.check(point.shape)
        except BranchError as error:
            if not there:
                context.listener(Notice(f"no static network at {point.name}: {error}"))
            found += there
            continue
        found += there or [Placed(cut_point=point.name, branch=pooled)]
    return found


def measure_baselines(context: StudyContext, study: str, bank: Bank, front: FrozenFront) -> None:
    """Measure the baselines once and store them with the study."""
    records = StudyRecords(context.database)
    record = records.get(study)
    assert record is not None
    if NETWORKS in record.baselines:
        return
    context.listener(Started(PHASE))
    networks = [_plain(context)]
    for number, design in enumerate(front.designs, start=1):
        tables = bank.exit_tables(design, context.costs(design))
        networks.append(_network(context, f"frozen {number}", "frozen", design, tables))
    networks += _static(context, bank)
    networks += published_networks(context, bank)
    records.update_baselines(study, {NETWORKS: [network.to_table() for network in networks]})
    context.listener(Finished(PHASE, f"{len(networks)} networks"))
    context.limit.check()


def refresh_static(context: StudyContext, study: str, bank: Bank) -> None:
    """Replace the branches of static networks by branches that trials have added, if these are more accurate.

    The workers that end after the last trial find that the first of them has done it.
    """
    records, ended = StudyRecords(context.database), Claims(context.database, study).ended()
    record = records.get(study)
    assert record is not None
    if record.baselines.get(REFRESHED) == ended:
        return
    known = [KnownNetwork.from_table(table) for table in record.baselines.get(NETWORKS, ())]
    placed = static_branches(context)
    for trial in TrialRecords(context.database).list(study):
        placed += [] if trial.design is None else list(frozen_design(trial.design).branches)
    offered = _best_static(context, bank, [each for each in dict.fromkeys(placed) if bank.holds(each)])
    better = {}
    for network in known:
        design = offered.get(network.name.removeprefix("static ")) if network.kind == "static" else None
        reference = network.artifacts.get("calibration", "")
        if design is None or design.branches == network.design.branches or not context.artifacts.holds(reference):
            continue
        tables = bank.exit_tables(design, context.costs(design))
        before = load_exit_table(context.artifacts.path(reference)).exit_accuracy()[0]
        if tables["calibration"].exit_accuracy()[0] > before:
            better[network.name] = _network(context, network.name, "static", design, tables)
    kept = [better.get(network.name, network).to_table() for network in known]
    records.update_baselines(study, {NETWORKS: kept, REFRESHED: ended})


def plain_point(context: StudyContext, table: ExitTable) -> OperatingPoint:
    """Return the operating point of the plain backbone, which has one exit and no decisions."""
    return evaluate(ONE_EXIT, replace(table, costs=context.plain_costs()))


def _plain(context: StudyContext) -> KnownNetwork:
    tables = {split: context.plain_table(split) for split in with_distorted(context.task)}
    table, distorted = tables["validation"], tables.get(DISTORTED_VALIDATION)
    return KnownNetwork(
        name=BACKBONE,
        kind="plain",
        design=context.plain_design(),
        points=(with_robustness(plain_point(context, table), distorted),),
        right=(pack(right_answers(ONE_EXIT, table)),),
        parameters=context.profile.total_parameters,
        artifacts=keep_tables(context, BACKBONE, tables),
    )


def _static(context: StudyContext, bank: Bank) -> list[KnownNetwork]:
    """Return one static network for each cut point. The most promising ones are trained like a trial."""
    banked = _best_static(context, bank, static_branches(context))
    tables: dict[str, Tables] = {
        name: bank.exit_tables(design, context.costs(design)) for name, design in banked.items()
    }
    right = {name: table["calibration"].exit_accuracy()[0] for name, table in tables.items()}
    total, chance = context.profile.total_macs, 1.0 / context.backbone.num_classes
    names = list(banked)
    curves = [
        (np.array([right[name]]), np.array([tables[name]["calibration"].costs[MACS][0] / total])) for name in names
    ]
    wanted = most_added(
        curves, context.settings.baselines.static, reference_cost=REFERENCE_COST, reference_accuracy=chance
    )
    for name in (names[index] for index in wanted):
        trained = trained_tables(context, bank, banked[name])
        if trained is not None and trained["calibration"].exit_accuracy()[0] > right[name]:
            tables[name] = trained
    return [_network(context, f"static {name}", "static", design, tables[name]) for name, design in banked.items()]


def _best_static(context: StudyContext, bank: Bank, placed: Sequence[Placed]) -> dict[str, Design]:
    """Return, for each cut point, the static design with the most accurate branch on calibration."""
    placed = filled(context, bank, placed, "static networks")
    if not placed:
        return {}
    training, policy = default_choices(context.settings.space)
    answers = bank.logits(placed, "calibration").argmax(axis=2)
    right = (answers == context.task.calibration.labels[:, None]).mean(axis=0)
    shapes = {point.name: point.shape for point in context.profile.cut_points}
    order = sorted(
        range(len(placed)),
        key=lambda index: (-right[index], context.branch_macs(placed[index].branch, shapes[placed[index].cut_point])),
    )
    best: dict[str, Placed] = {}
    for index in order:
        best.setdefault(placed[index].cut_point, placed[index])
    plain = context.plain_design()
    return {
        each.cut_point: replace(
            plain, branches=(best[each.cut_point],), static=True, training=training, policy=policy
        ).canonical()
        for each in dict.fromkeys(placed)
        if best[each.cut_point] == each
    }


def _network(context: StudyContext, name: str, kind: NetworkKind, design: Design, tables: Tables) -> KnownNetwork:
    costs = context.costs(design)
    scores = score_tables(design, tables, costs, context.settings.constraints, backbone_macs=context.profile.total_macs)
    return KnownNetwork(
        name=name,
        kind=kind,
        design=design,
        points=scores.points,
        right=scores.right,
        parameters=costs.parameters,
        artifacts=keep_tables(context, name, tables),
    )
