"""The summary of a study in words, for the terminal, the study's note, the report and the titles of figures."""

import itertools

from eenas.errors import plural
from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.costs import KNOWN, LATENCY, MACS
from eenas.reporting.facts.front_table import states
from eenas.reporting.facts.wording import (
    cost_text,
    cost_word,
    each_batch,
    enumerated,
    milliseconds,
    place,
    quantity,
    times,
)
from eenas.results.nothing_chosen import no_front, nothing_chosen
from eenas.results.results import Comparison, StudyResults
from eenas.specs import to_table
from eenas.study.rivals.offered_points import FrontPoint, offered


def summary(results: StudyResults) -> tuple[str, ...]:
    """Return sentences on trials, backbone, limits, the recommended network, the knee, rivals and warnings."""
    lines = [_trials(results), _backbone(results)]
    if not results.front:
        lines.append(_capital(no_front(results)) + ".")
        return (*lines, *results.warnings)
    if results.settings.constraints:
        lines.append(limits_line(results))
    best = results.recommended
    if best is not None:
        lines.append(f"Recommended, within 1 point of the backbone: {best.label} {_keeps(best, results.backbone)}.")
    else:
        lines.append(f"{_capital(nothing_chosen(results, results.front))}.")
    knee = results.knee
    if knee is not None and knee is not best:
        lines.append(f"At the knee of the front: {knee.label} {_keeps(knee, results.backbone)}.")
    lines += [hypervolumes(results), *rivals(results)]
    return (*lines, *results.warnings)


def limits_line(results: StudyResults) -> str:
    """Return the study's limits, and the number of its networks with a point that holds them."""
    names = {item.name for item in offered(results.networks, results.backbone, results.settings.constraints)}
    said = ", ".join(f"{name} {value:g}" for name, value in to_table(results.settings.constraints).items())
    return (
        f"Limits, held by every network offered: {said} ({len(names)} of {plural(len(results.networks), 'network')})."
    )


def rivals(results: StudyResults) -> list[str]:
    """Return a sentence for each kind of rival: the search's proposals compared with it."""
    found: dict[str, list[Comparison]] = {}
    for one in results.comparisons:
        found.setdefault(one.baseline, []).append(one)
    lines = []
    for name, ones in found.items():
        parts = []
        for (verdict, difference, low, high), same in itertools.groupby(ones, key=_printed):
            budgets = [percent(one.budget, 0) for one in same]
            at = budgets[0] if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]}"
            parts.append(f"{verdict} at {at} of the MACs ({difference} points, {low} to {high})")
        lines.append(f"Proposed by the search, against {name}: {', '.join(parts)}.")
    if lines:
        lines.append("(Both points are chosen on one half of the validation samples and judged on the other.)")
    return lines


def _printed(one: Comparison) -> tuple[str, str, str, str]:
    """Return the verdict and its figures as printed."""
    figures = (f"{100 * value:+z.1f}" for value in (one.difference, one.low, one.high))
    verdict = {"beats": "ahead", "loses to": "behind"}.get(one.verdict, "within noise")
    return (verdict, *figures)  # type: ignore[return-value]  # three figures


def shown(results: StudyResults) -> FrontPoint | None:
    """Return the point for headlines and reports.

    It is the recommended point, else a knee that saves something, else the plain backbone if it is on the front, else
    the most accurate point. None if there is no front.
    """
    knee = results.knee if results.knee is not None and results.knee.saves else None
    return results.recommended or knee or results.plain or next(iter(results.front), None)


def hypervolumes(results: StudyResults) -> str:
    """Return the hypervolumes and their reference point in one sentence."""
    areas = (f"accuracy × {cost_word(name)} {area:.4f}" for name, area in results.hypervolumes.items())
    return f"Hypervolume: {', '.join(areas)} (from 1.1 × the backbone's cost and {percent(results.chance)} accuracy)."


def headline(results: StudyResults, item: FrontPoint | None) -> str:
    """Return one short line on the accuracy and costs of an operating point; `shown` gives the point to use."""
    if item is None:
        return "no design yet"
    if item.kind == "plain":
        said = "" if results.recommended else ", and no network is recommended instead"
        return f"the plain backbone reaches {percent(item.point.accuracy)}{said}"
    return f"{item.label} {_short(item, results.backbone)}"


def _short(item: FrontPoint, backbone: BackboneFacts) -> str:
    ours, whole = percent(item.point.accuracy), percent(backbone.accuracy)
    better = item.point.accuracy > backbone.accuracy
    accuracy = f"reaches {ours} (the backbone: {whole})" if better else f"keeps {ours} of {whole}"
    shares = ((name, share) for name, share in item.cost_shares.items() if name != MACS)
    others = (f"{times(share)} the {cost_word(name)}" for name, share in shares)
    return f"{accuracy} at {enumerated((f'{percent(item.macs_share, 0)} of the MACs', *others))}"


def _keeps(item: FrontPoint, backbone: BackboneFacts) -> str:
    text = _short(item, backbone)
    if item.against_backbone is not None and item.kind != "plain":
        low, high = item.against_backbone
        text += f" ({100 * low:+z.1f} to {100 * high:+z.1f} points against the backbone, 95 %)"
    if item.ends_at is not None:
        where = place(item.design.branches[item.ends_at].cut_point)
        text += f"; every sample leaves at {where}: it is a static network, and the rest of the backbone is not needed"
    return text


def _trials(results: StudyResults) -> str:
    counted = ", ".join(f"{number} {state}" for state, number in states(results).items())
    text = f"Study {results.name} on {results.task}: {plural(len(results.trials), 'trial')}"
    return f"{text} ({counted})." if counted else f"{text}."


def _backbone(results: StudyResults) -> str:
    backbone, batch = results.backbone, results.settings.latency.batch
    named = "" if results.weights is None else f"a {results.measure} of "
    text = (
        f"The plain {backbone.name} reaches {named}{percent(backbone.accuracy)} on {_samples(results)} "
        f"with {quantity(backbone.macs, 'MACs')}"
    )
    for each in (each for each in results.costs if each.name not in KNOWN):
        spent, word = cost_text(each.name, backbone.costs.get(each.name), each.unit), cost_word(each.name)
        text += f", {spent}" if word == each.unit else f", {word} of {spent}"
    if LATENCY in backbone.costs:
        text += f" and {milliseconds(backbone.costs[LATENCY])} {each_batch(batch)} on {results.latency_place}"
    return text + "."


def _samples(results: StudyResults) -> str:
    counted = f"the {results.samples:,} samples of " if results.samples else ""
    return f"{counted}the validation split"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
