"""Baselines measured in the same study: the plain backbone, static networks on its frozen prefix, the frozen front."""

from collections.abc import Mapping
from dataclasses import replace

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed, TrainingChoice
from eenas.errors import BranchError
from eenas.measurement.profile import Profile
from eenas.policies.exit_table import ExitTable
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.threshold import ThresholdPolicy
from eenas.progress import Finished, Notice, Started
from eenas.records.studies import StudyRecords
from eenas.search.bank import Bank
from eenas.search.frozen_front import BASELINE, FrozenFront
from eenas.search.preparation import Ground

SHARES = (0.25, 0.5, 0.75)
"""Where the static networks end, as shares of the backbone's MACs."""


def static_cut_points(profile: Profile) -> dict[str, float]:
    """The cut points nearest to SHARES of the backbone's MACs, each once, with their shares."""
    found: dict[str, float] = {}
    for wanted in SHARES:
        shares = [profile.share(index, "macs") for index in range(len(profile.cut_points))]
        index = min(range(len(shares)), key=lambda i: abs(shares[i] - wanted), default=None)
        if index is not None:
            found.setdefault(profile.cut_points[index].name, shares[index])
    return found


def static_designs(ground: Ground) -> dict[str, Design]:
    """For each static network the design that has its one branch: average pooling and a linear classifier."""
    shapes = {point.name: point.shape for point in ground.profile.cut_points}
    designs = {}
    for name, share in static_cut_points(ground.profile).items():
        branch = PoolFc(pool="avg", size=1)
        try:
            branch.check(shapes[name])
        except BranchError as error:
            ground.listener(Notice(f"no static network at {name}: {error}"))
            continue
        choice = TrainingChoice(strategy="joint", learning_rate=0.05, backbone_rate=1.0)
        plain = ground.plain_design()
        designs[f"truncated {share:.0%}"] = replace(
            plain, branches=(Placed(cut_point=name, branch=branch),), training=choice
        )
    return designs


def measure_baselines(ground: Ground, study: str, bank: Bank, front: FrozenFront, static: Mapping[str, Design]) -> None:
    """Measure the baselines of a study once and keep them with it; the classifiers of `static` are the bank's."""
    records = StudyRecords(ground.database)
    record = records.get(study)
    assert record is not None
    if record.baselines:
        return
    points = {"backbone": [plain_point(ground, ground.plain_table("validation")).to_table()]}
    ground.listener(Started("measuring baselines"))
    bank.fill(branch for design in static.values() for branch in design.branches)
    for name, design in static.items():
        macs, latency = static_costs(ground, design)
        table = bank.exit_tables(design, ground.costs(design))["validation"]
        points[name] = [single_exit(table, 0, macs=macs, latency_ms=latency).to_table()]
    if front.points:
        points[BASELINE] = [point.to_table() for point in front.points]
    ground.listener(Finished("measuring baselines"))
    records.update_baselines(study, points)


def plain_point(ground: Ground, table: ExitTable) -> OperatingPoint:
    """The plain backbone as an operating point: one exit, nothing decided."""
    point = evaluate(ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=()), table)
    latency = ground.plain_latency_ms()
    return replace(point, expected_latency_ms=latency, worst_latency_ms=latency)


def single_exit(table: ExitTable, exit_: int, *, macs: float, latency_ms: float | None) -> OperatingPoint:
    """One exit of a table as a static network of its own, at its own cost."""
    alone = ExitTable(
        logits=table.logits[:, exit_ : exit_ + 1],
        labels=table.labels,
        exits=(table.exits[exit_],),
        macs=table.macs[:1] * 0 + macs,
        latency_ms=None if latency_ms is None else table.macs[:1] * 0 + latency_ms,
    )
    return evaluate(ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=()), alone)


def static_costs(ground: Ground, design: Design) -> tuple[float, float | None]:
    """MACs and milliseconds of a static network: the prefix and its classifier, with no decision."""
    costs = ground.costs(design)
    macs = float(costs.macs[0]) - design.num_classes
    if costs.latency_ms is None or ground.profile.decision is None:
        return macs, None
    joints = ground.profile.joints
    nothing_decided = ground.profile.decision.median_ms + (joints.entry_ms if joints else 0.0)
    return macs, float(costs.latency_ms[0]) - nothing_decided
