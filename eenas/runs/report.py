"""The only evaluation on the test split: exits, operating points, baselines, and the search's estimate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eenas.errors import ExportError
from eenas.measurement.latency import Latency
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import batches
from eenas.policies.bootstrap import paired_bootstrap
from eenas.policies.costs import ALONE, MACS, CostValues
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting, fit_at_shares, operating_points
from eenas.policies.learned.comparison import compare_learned
from eenas.policies.operating_point import OperatingPoint, evaluate, with_robustness
from eenas.policies.proportions import largest_share
from eenas.policies.risk.control import RiskLimit, controlled
from eenas.policies.temperatures import fit_temperatures
from eenas.progress import Notice
from eenas.results.choice import Chosen
from eenas.results.front import SHARES
from eenas.results.results import Baseline, Comparison, StudyResults
from eenas.runs.end_to_end import answers_ms, end_to_end, programs_end_to_end
from eenas.runs.exit_facts import ExitFacts
from eenas.runs.run_baselines import TrainedBaseline
from eenas.runs.run_contexts import COMMON_ONLY, asks_for_contexts, context_report
from eenas.runs.run_report import RunReport
from eenas.runs.train_fully import Trained
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.known_networks import BACKBONE
from eenas.study.trials.scores import points_within_worst, policy_within
from eenas.tasks.distortions.distorted_splits import PREFIX


def build_report(
    context: StudyContext,
    results: StudyResults,
    chosen: Chosen,
    tables: Mapping[str, ExitTable],
    baselines: Sequence[TrainedBaseline],
    trained: Trained,
    certified: RiskLimit | None = None,
) -> RunReport:
    """Fit policies on the calibration table and return the report of their evaluation on the test table.

    With a limit to certify, the reported policy is the one that risk control finds.
    """
    calibration, test = tables["calibration"], tables["test"]
    design, total = chosen.design, float(context.profile.total_macs)
    fitting = Fitting(calibration, design.policy)
    limits = chosen.limits
    policy = policy_within(fitting, limits, target_macs=design.policy.target_macs, backbone_macs=total)
    found = None if certified is None else controlled(calibration, certified, fitting.rule)
    policy, guarantee = (policy, None) if found is None else (found.policy, found.guarantee)
    reported = with_robustness(replace(evaluate(policy, test), guarantee=guarantee), tables.get(PREFIX + "test"))
    network = trained.network
    network.policy = policy
    within = {share: policy_within(fitting, limits, target_macs=share, backbone_macs=total) for share in SHARES}
    at_shares = {share: evaluate(each, test) if each.within_budget else None for share, each in within.items()}
    points = fitting.operating_points(test, common=True)
    points = tuple(dict.fromkeys((*points, *points_within_worst(calibration, test, limits, total))))
    rivals = {baseline.name: baseline for baseline in baselines}
    baselines_at_shares = {
        name: dict(zip(SHARES, _fit(baseline, total), strict=True)) for name, baseline in rivals.items()
    }
    comparisons = [
        Comparison(baseline=name, budget=share, difference=gap[0], low=gap[1], high=gap[2])
        for name, baseline in rivals.items()
        for share in SHARES
        if (gap := _compare(at_shares[share], test, baselines_at_shares[name][share], baseline, context)) is not None
    ]
    plain = _points(rivals[BACKBONE])[-1]
    measured, answers = _measured(context, network)
    report = RunReport(
        folder=trained.folder,
        study=results.name,
        task=results.task,
        device=context.device_text,
        design=design,
        backbone=replace(
            results.backbone, accuracy=plain.accuracy, costs=CostValues({**plain.expected, MACS: results.backbone.macs})
        ),
        costs=context.plain_costs().under_best(ALONE).facts,
        exits=_exits(network, context, calibration, test, reported, measured),
        points=points,
        at_shares=at_shares,
        baselines=tuple(Baseline(name=b.name, points=_points(b)) for b in baselines),
        baselines_at_shares=baselines_at_shares,
        comparisons=tuple(comparisons),
        reported=reported,
        estimate=chosen.point,
        network=chosen.name,
        parameters=context.costs(design).parameters,
        warnings=(*results.warnings, *([COMMON_ONLY] if guarantee is not None and asks_for_contexts(context) else [])),
        near_threshold=policy.apply(test).near,
        end_to_end_ms=answers,
        classes=context.task.classes,
        test_samples=len(test),
        largest_class=largest_share(test.labels),
        balanced=test.balanced,
        samples=trained.samples,
        seconds=trained.seconds,
        worse=trained.worse,
        transform=network.transform,
        latency_batch=context.settings.latency.batch,
        latency=context.profile.total_latency,
        profile=context.profile,
        contexts=context_report(context, policy, design, limits, tables, certified=guarantee is not None),
        policies=compare_learned(calibration, test, backbone_macs=total),
    )
    return report.with_limits(limits, chosen.accepted_drop)


def _exits(
    network: EarlyExitNetwork,
    context: StudyContext,
    calibration: ExitTable,
    test: ExitTable,
    reported: OperatingPoint,
    measured: Sequence[Latency | None],
) -> tuple[ExitFacts, ...]:
    labels = [placed.branch.label() for placed in network.design.branches]
    labels += [] if network.design.static else ["backbone's classifier"]
    temperatures, total = fit_temperatures(calibration), context.profile.total_macs
    costs = test.costs.under(reported.split)
    return tuple(
        ExitFacts(
            name=name,
            structure=labels[k],
            costs=costs.of_exit(k),
            macs_share=float(test.costs[MACS][k]) / total,
            accuracy=test.exit_accuracy()[k],
            temperature=float(temperatures[k]),
            share=reported.shares[k],
            end_to_end=measured[k],
        )
        for k, name in enumerate(test.exits)
    )


def _fit(baseline: TrainedBaseline, total: float) -> list[OperatingPoint | None]:
    return fit_at_shares(baseline.calibration, baseline.test, total, SHARES, baseline.rule)


def _points(baseline: TrainedBaseline) -> tuple[OperatingPoint, ...]:
    return operating_points(baseline.calibration, baseline.test, baseline.rule)


def _compare(
    point: OperatingPoint | None,
    test: ExitTable,
    other: OperatingPoint | None,
    baseline: TrainedBaseline,
    context: StudyContext,
) -> tuple[float, float, float] | None:
    if point is None or other is None:
        return None
    right = point.policy.apply(test).answer == test.labels
    right_there = other.policy.apply(baseline.test).answer == baseline.test.labels
    if test.weights is not None:
        right, right_there = right * test.weights, right_there * test.weights
    return paired_bootstrap(right, right_there, seed=derive(context.settings.seed, "bootstrap"))


def _measured(context: StudyContext, network: EarlyExitNetwork) -> tuple[tuple[Latency | None, ...], float | None]:
    """Return the end-to-end latency of each exit, and the median time of `predict` over samples of the test split.

    Both are measured in the runtime of the study's latencies. They are None if these come from another device, or if
    ONNX does not support the network.
    """
    spec, nothing = context.settings.latency, (None,) * len(network.exits)
    if context.latencies is not None:
        return nothing, None
    example = context.backbone.example(spec.batch).to(context.device)
    some = np.random.default_rng(0).permutation(len(context.task.test))[:200]
    parts = list(batches(network, context.task.test.subset(some), 100, context.device))
    inputs = network.transform.joined(parts)
    if spec.runtime == "torch":
        found = end_to_end(network, example, device=context.device, spec=spec)
        return found, answers_ms(network, inputs, device=context.device, spec=spec)
    if spec.runtime != "onnxruntime":
        context.listener(Notice(f"no end-to-end latency was measured: {spec.runtime} times only parts"))
        return nothing, None
    try:
        return programs_end_to_end(network, inputs, device=context.device, spec=spec)
    except ExportError as error:
        context.listener(Notice(f"no end-to-end latency was measured: {error}"))
        return nothing, None
