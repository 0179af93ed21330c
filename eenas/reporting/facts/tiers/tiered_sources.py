"""The network to split of a study, a run or an exported model, with its times and shares as they are stored there."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eenas.designs.design import Design
from eenas.errors import MeasurementError
from eenas.measurement.latency import Latency, place_of
from eenas.measurement.profile import BranchCost, Profile
from eenas.measurement.tiers.tier_sources import MeasuredNetwork
from eenas.networks.tiered_costs import input_bytes, sends_logits
from eenas.policies.costs import LATENCY
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.routed_table import RoutedTable
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.manifest import read_manifest
from eenas.programs.model_folder import DESIGN, load_design
from eenas.reporting.facts.tiers.tiered_subject import TieredSubject
from eenas.results.results import StudyResults
from eenas.runs.run_report import RunReport
from eenas.study.rivals.offered_points import FrontPoint


def subject_of_point(results: StudyResults, item: FrontPoint, validation: ExitTable) -> TieredSubject:
    """Return the network of an operating point of a study from its exit table on the validation split.

    Raises MeasurementError if the study has no latencies, and for a network with experts.
    """
    if isinstance(validation, RoutedTable):
        raise MeasurementError(f"{item.label}: has experts, whose classifier runs on no tier; name a network without")
    latency, point = validation.costs.get(LATENCY), item.point
    reached = None if latency is None else latency.tolist()
    return _profiled(f"{results.name}, {item.label}", item.design, results.profile, reached, shares=point.shares)


def subject_of_run(report: RunReport) -> TieredSubject:
    """Return the network of a run with the shares of its reported operating point.

    Raises MeasurementError if the run has no latencies or was made before runs had profiles.
    """
    reached = [each.costs.get(LATENCY) for each in report.exits]
    known = [each for each in reached if each is not None]
    return _profiled(
        report.folder.name,
        report.design,
        report.profile,
        known if len(known) == len(reached) else None,
        shares=report.reported.shares,
    )


def subject_of_model(folder: Path, *, trust_code: bool = False) -> TieredSubject:
    """Return the exported model in a folder with the latencies that its export measured. It can be split at its exits.

    Raises MeasurementError for a model with experts, half a model, one without a policy, or latencies of batches, and
    ExportError if its programs were not timed.
    """
    manifest = read_manifest(folder, trust_code=trust_code)
    if manifest.experts is not None:
        raise MeasurementError(f"{folder}: has experts, whose exits run in programs of their own; give a model without")
    if manifest.split is not None:
        raise MeasurementError(f"{folder}: is {manifest.split.text}; give the whole model")
    timed = ProgramLatency.of(folder)
    if ", batch 1," not in timed.conditions:
        raise MeasurementError(f"{folder}: tiers count the time of one sample, got {timed.conditions}; export again")
    exits = manifest.exits
    if not timed.shares and len(exits) > 1:
        raise MeasurementError(f"{folder}: has no operating point, which tells where samples leave; calibrate it first")
    design = load_design(folder / DESIGN, trust_code=trust_code)
    shapes = [tuple(each.shape) for each in manifest.segments]
    return TieredSubject(
        name=folder.name,
        backbone=design.backbone,
        exits=exits,
        branches=tuple(placed.branch for placed in design.branches),
        cut_points=exits[:-1],
        elements=tuple(math.prod(shape) for shape in shapes[1:]),
        after=tuple(range(1, len(exits) + 1)),
        shares=timed.shares or (1.0,),
        num_classes=design.num_classes,
        input_shape=shapes[0],
        input_bytes=input_bytes(design, shapes[0]),
        place=timed.conditions,
        reached_ms=timed.measured_ms,
        static=design.static,
        logits_sent=sends_logits(design),
        carried=tuple(each.carried for each in manifest.segments[1:]),
    )


def _profiled(
    name: str,
    design: Design,
    profile: Profile | None,
    reached: Sequence[float] | None,
    *,
    shares: Sequence[float],
) -> TieredSubject:
    """Return the subject of a design whose backbone has a profile and whose exits were timed."""
    if profile is None:
        raise MeasurementError(f"{name}: has no profile of its backbone; it was made by an earlier eenas; run it again")
    if reached is None or profile.total_latency is None:
        raise MeasurementError(f"{name}: tiers need latencies, and none were measured; search with a latency")
    at = tuple(profile.index(placed.cut_point) for placed in design.branches)
    network = MeasuredNetwork(
        profile=profile,
        at=at,
        branches=tuple(placed.branch for placed in design.branches),
        costs=_branch_costs(profile, at, reached, static=design.static),
        num_classes=design.num_classes,
        input_shape=tuple(axis.size or 1 for axis in design.inputs.tensor.axes),
        static=design.static,
    )
    points = profile.cut_points[: len(network.cut_points)]
    return TieredSubject(
        name=name,
        backbone=design.backbone,
        branches=network.branches,
        input_shape=network.input_shape,
        exits=design.exits,
        cut_points=network.cut_points,
        elements=tuple(point.shape.elements for point in points),
        after=network.after,
        shares=tuple(shares),
        num_classes=design.num_classes,
        input_bytes=input_bytes(design, network.input_shape),
        place=place_of(profile.total_latency),
        measured=network,
        static=design.static,
        logits_sent=sends_logits(design),
        carried=tuple(point.shape.exact_columns for point in points),
    )


def _branch_costs(
    profile: Profile, at: Sequence[int], reached: Sequence[float], *, static: bool
) -> tuple[BranchCost, ...]:
    """Return the branches with the times that the latencies [K] of leaving at each exit contain."""
    assert profile.decision is not None
    joints, decision = profile.joints, profile.decision.median_ms
    call, entry = (0.0, 0.0) if joints is None else (joints.call_ms, joints.entry_ms)
    passed, found = entry, []
    for index, latency in zip(at, reached, strict=False):  # the final exit has no branch
        own = decision if joints is not None or not static else 0.0
        alone = max(latency - profile.reached_ms[index] - passed - own, 0.0)
        found.append(BranchCost(macs=0, parameters=0, latency=_timed(profile, alone + call)))
        passed += alone + own + (joints.cut_ms[index] if joints is not None else 0.0)
    return tuple(found)


def _timed(profile: Profile, time: float) -> Latency:
    assert profile.total_latency is not None
    return replace(profile.total_latency, median_ms=time, p95_ms=time)
