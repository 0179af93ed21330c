"""The outcome of a full training: a summary in words, and the design beside its baselines at each budget."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from eenas.errors import plural
from eenas.percent import percent
from eenas.policies.costs import LATENCY, MACS
from eenas.policies.fit import declined
from eenas.policies.learned.comparison import comparison_words
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.split_costs import split_words
from eenas.reporting.facts.wording import cost_word, enumerated, milliseconds, place, quantity, times
from eenas.runs.run_report import RunReport, largest_words, worse_words
from eenas.specs import to_table
from eenas.study.context.traits import Traits
from eenas.study.settings.limits import amount
from eenas.tier_names import TIER_LATENCY


@dataclass(frozen=True)
class BudgetRow:
    """A network at each budget: (budget, test accuracy, MACs spent on test), all as shares; None if out of reach."""

    name: str
    cells: tuple[tuple[float, float | None, float | None], ...]


def run_summary(report: RunReport) -> tuple[str, ...]:
    """Return sentences on the backbone, the reported point, the search's estimate and the end-to-end latency."""
    backbone, point = report.backbone, report.reported
    whole = next((base.points[0] for base in report.baselines if base.name == "backbone" and base.points), None)
    kept = f" (the backbone: {percent(whole.accuracy)})" if whole is not None else ""
    shares = {name: backbone.share(name, value) for name, value in point.expected.items() if name != MACS}
    others = (f"{times(share)} the {cost_word(name)}" for name, share in shares.items() if share is not None)
    macs = f"{percent(point.expected[MACS] / backbone.macs)} of {quantity(backbone.macs, 'MACs')}"
    largest = largest_words(report.largest_class)
    counted = f" of {report.test_samples:,} samples{largest}" if largest else ""
    named = "a balanced accuracy of " if report.balanced else ""
    lines = [
        f"Run {report.folder}: {backbone.name} on {report.task}, trained with {plural(report.samples, 'sample')} "
        f"in {report.seconds / 60:.1f} min on {report.device}.",
        f"On the test split{counted} it reaches {named}{percent(point.accuracy)}{kept} at "
        f"{enumerated((macs, *others))} (thresholds from the calibration split).",
    ]
    if report.worse is not None:
        lines.append(f"Training made it worse: {worse_words(report.worse)}.")
    if how := Traits.of(report.design, point.policy).words():
        lines.append(f"Not the default: {how}.")
    lines += declined(report.design.policy, point.policy)
    if words := comparison_words(report.policies):
        lines.append(words)
    lines += [] if point.guarantee is None else [point.guarantee.sentence()]
    if report.estimate is not None:
        gap = 100 * (point.accuracy - report.estimate.accuracy)
        lines.append(
            f"The search had measured {percent(report.estimate.accuracy)} at "
            f"{percent(report.estimate.expected[MACS] / backbone.macs)} after brief training, on validation: "
            f"{gap:+z.1f} points now."
        )
    if report.design.static:
        lines.append(f"It is a static network: it ends at {place(report.exits[0].name)}, where every sample leaves.")
    if (split := point.split) is not None:
        latency = milliseconds(point.expected[TIER_LATENCY])
        lines.append(f"Best split between the tiers: {split_words(split)}, at an expected {latency} end to end.")
    lines += [] if report.codec is None else [report.codec.sentence()]
    lines += limits_held(report)
    if LATENCY in point.expected and (measured := _expected_end_to_end(report)) is not None:
        composed = milliseconds(point.expected[LATENCY])
        lines.append(f"A sample takes {milliseconds(measured)} end to end on average (composed of parts: {composed}).")
    if report.near_threshold:
        verb = "lies" if report.near_threshold == 1 else "lie"
        lines.append(
            f"{plural(report.near_threshold, 'score')} {verb} within 1e-5 of a threshold and may go either way."
        )
    return (*lines, *report.warnings)


def _expected_end_to_end(report: RunReport) -> float | None:
    """Return the mean end-to-end milliseconds, weighted by the share leaving at each exit; None if one is missing."""
    reached = [exit_ for exit_ in report.exits if exit_.share]
    known = [exit_.share * exit_.end_to_end.median_ms for exit_ in reached if exit_.end_to_end is not None]
    return sum(known) if len(known) == len(reached) else None


def limits_held(report: RunReport) -> list[str]:
    """Return a sentence for each limit of the choice: whether it holds on the test split."""
    limits, found = to_table(report.limits), []
    units = {each.name: each.unit for each in report.costs}
    for name, by in report.violations.items():
        held = (
            f"held, with {amount(name, abs(by), units)} to spare,"
            if by <= 0
            else f"missed by {amount(name, by, units)}"
        )
        if by == float("inf"):
            held = "unknown, since it was not recorded,"
        found.append(f"Limit {name} = {limits[name]:g}: {held} on the test split.")
    plain = next((base.points[0] for base in report.baselines if base.name == "backbone" and base.points), None)
    if report.accepted_drop is not None and plain is not None:
        lost, drop = plain.accuracy - report.reported.accuracy, 100 * report.accepted_drop
        verdict = "held" if lost <= report.accepted_drop + 1e-9 else "missed"
        found.append(
            f"Limit of {drop:g} point{'' if drop == 1 else 's'} lost against the backbone: {verdict}, with "
            f"{-100 * lost:+z.1f} on the test split."
        )
    return found


def budget_rows(report: RunReport) -> list[BudgetRow]:
    """Return the design, then each baseline, at the same shares of the backbone's MACs."""
    shares = sorted(report.at_shares)
    rows = [_budget("this design", report.at_shares, shares, report.backbone.macs)]
    for name, points in report.baselines_at_shares.items():
        rows.append(_budget(name, points, shares, report.backbone.macs))
    return rows


def report_json(report: RunReport) -> str:
    """Return the report as JSON, with the folder, and with budgets as keys."""
    table = {"folder": str(report.folder), **report.json_table()}
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)


def _budget(name: str, points: Mapping[float, OperatingPoint | None], shares: list[float], macs: float) -> BudgetRow:
    cells = []
    for share in shares:
        point = points.get(share)
        cells.append((share, None, None) if point is None else (share, point.accuracy, point.expected[MACS] / macs))
    return BudgetRow(name, tuple(cells))
