"""The panels of a report by name: each is a figure, a piece of HTML, or both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import plotly.graph_objects as go

from eenas.measurement.tiers.tier_costs import UNITS
from eenas.percent import percent
from eenas.policies.costs import LATENCY, MACS
from eenas.reporting.facts.distortion_facts import HEADS, context_rows
from eenas.reporting.facts.explained import CLASS_HEADS, EXIT_HEADS, explained_facts
from eenas.reporting.facts.explained_texts import WORD_HEADS, explained_texts_facts
from eenas.reporting.facts.picked import of_point
from eenas.reporting.facts.simulation_facts import adapted
from eenas.reporting.facts.tiers.tier_facts import read_sources, tier_facts
from eenas.reporting.facts.tiers.tier_rows import split_text, tier_summary
from eenas.reporting.facts.tiers.tiered_sources import subject_of_point
from eenas.reporting.facts.worth_facts import worth_facts
from eenas.reporting.figures.agreement_figure import agreement_facts, draw_agreement
from eenas.reporting.figures.confusion_figure import confusion_facts, draw_confusion
from eenas.reporting.figures.design_figure import design_facts, draw_design
from eenas.reporting.figures.distortion_figure import distortion_facts, draw_distortions
from eenas.reporting.figures.front_figure import draw_front, front_facts
from eenas.reporting.figures.groups_figure import class_facts, difficulty_facts, draw_groups
from eenas.reporting.figures.importance_figure import draw_importance, importance_facts
from eenas.reporting.figures.latency_figure import draw_latency, latency_facts
from eenas.reporting.figures.leaving_figure import draw_leaving, leaving_facts
from eenas.reporting.figures.overthinking_figure import draw_overthinking, overthinking_facts
from eenas.reporting.figures.progress_figure import draw_progress, progress_facts
from eenas.reporting.figures.regret_figure import draw_regret, regret_facts
from eenas.reporting.figures.reliability_figure import draw_reliability, reliability_facts
from eenas.reporting.figures.survivors_figure import draw_survivors, survivors_facts
from eenas.reporting.figures.thumbnails import Sample, pictures, quotes, samples_facts
from eenas.reporting.figures.tiers.bandwidth_figure import draw_bandwidth
from eenas.reporting.figures.worth_figure import draw_worth
from eenas.reporting.report.explorer import draw_explorer, explorer_facts, page_data
from eenas.reporting.report.page import FRONT
from eenas.reporting.report.policies import policies_html
from eenas.reporting.report.report_source import ReportSource
from eenas.reporting.report.templates import render
from eenas.tier_names import TIER_LATENCY

PanelName = Literal[
    "front_macs",
    "front_latency",
    "leaving",
    "design",
    "explorer",
    "classes",
    "difficulty",
    "reliability",
    "overthinking",
    "agreement",
    "distortions",
    "experts",
    "confusion",
    "explain",
    "policies",
    "regret",
    "samples",
    "latency",
    "tiers",
    "progress",
    "survivors",
    "importances",
]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of the page: `above` is HTML of a template above the figure, which may be missing."""

    figure: go.Figure | None = None
    above: str = ""


def explorer(source: ReportSource) -> Panel:
    """Return the figure with its slider, and the data for `report.js`."""
    backbone = source.results.backbone
    facts = explorer_facts(source.picked(), backbone)
    above = render(
        "explorer.html", name=facts.name, last=len(facts.thresholds) - 1, start=facts.start, data=page_data(facts)
    )
    return Panel(figure=draw_explorer(facts), above=above)


def leaving(source: ReportSource) -> Panel:
    """Return the figure of where samples leave, or a sentence if each network has a single exit for all samples."""
    facts = leaving_facts(source.results)
    if facts.bars and all(max(leaving.share for leaving in bar.exits) == 1 for bar in facts.bars):
        text = "in every network shown above, all samples leave at one exit"
        return Panel(above=render("sentence.html", title=facts.title, sentence=text))
    return Panel(figure=draw_leaving(facts))


def samples(source: ReportSource) -> Panel:
    """Return two rows of samples, as drawings or texts."""
    picked = source.picked()
    facts = samples_facts(picked)
    found = pictures(source.task(), picked, facts)
    quoted = quotes(source.task(), picked, facts)
    classes = source.results.classes
    rows = (
        (f"leave first (at {facts.first[0].exit}), the most confident ones", facts.first),
        (f"leave last (at {facts.last[0].exit}), the least confident ones", facts.last),
    )
    shown = [
        (title, [_shown(each, found.get(each.position, ""), quoted.get(each.position, ""), classes) for each in row])
        for title, row in rows
    ]
    return Panel(above=render("samples.html", point=of_point(picked), rows=shown))


def distortions(source: ReportSource) -> Panel:
    """Return the curves over the severity of each kind, and a table of all contexts."""
    picked, scores = source.picked(), source.contexts()
    rows = context_rows(scores, source.results.backbone.macs)
    above = render("distortions.html", title="Contexts", point=of_point(picked), heads=HEADS, rows=rows)
    return Panel(figure=draw_distortions(distortion_facts(picked, scores)), above=above)


def experts(source: ReportSource) -> Panel:
    """Return the curves of each kind with and without experts, and a table of their worth; a sentence without them."""
    run = source.run_with_experts()
    if run is None or run.experts is None:
        text = "no run of this study has experts; run `eenas train` with [experts] in the study file"
        return Panel(above=render("sentence.html", title="Worth of experts", sentence=text))
    name = run.network or run.folder.name
    facts = worth_facts(name, run.experts.figures)
    above = render("experts.html", title="Worth of each expert", name=name, heads=facts.heads, rows=facts.rows)
    return Panel(figure=draw_worth(facts), above=above)


def explanation(source: ReportSource) -> Panel:
    """Return the maps of a fully trained network, or of texts the words; a sentence if there is no such network."""
    trained = source.network()
    if trained is None:
        text = "no network of this study is fully trained yet; run `eenas train` to see where its exits look"
        return Panel(above=render("sentence.html", title="Where each exit looks", sentence=text))
    if trained[1].transform.inputs.kind == "text":
        facts = vars(explained_texts_facts(*trained, source.task()))
        return Panel(above=render("explain_texts.html", word_heads=WORD_HEADS, **facts))
    values = vars(explained_facts(*trained, source.task()))
    return Panel(above=render("explain.html", exit_heads=EXIT_HEADS, class_heads=CLASS_HEADS, **values))


def tiers(source: ReportSource) -> Panel:
    """Return time over bandwidth of the drawn network on the study's tiers, with the best split in words."""
    over = source.results.settings.tiers
    if over is None:
        text = "this study has no tiers; add [tiers] to its file, or run `eenas tiers`"
        return Panel(above=render("sentence.html", title="Edge and cloud", sentence=text))
    picked = source.picked()
    folder = Path(source.facts["folder"]) if source.facts.get("folder") else None
    subject = subject_of_point(source.results, picked.item, picked.validation)
    costs = (name for name in source.results.settings.search.objectives if name in UNITS)
    facts = tier_facts(subject, over, read_sources(over, folder), cost=next(costs, TIER_LATENCY))
    sentences, own = tier_summary(facts), picked.item.point.split
    if own is not None and own != facts.best.split:
        sentences.append(f"Within its limits, the study chose: {split_text(facts, own)}.")
    above = render("sentence.html", title="Edge and cloud", sentence=" ".join(sentences))
    return Panel(figure=draw_bandwidth(facts), above=above)


def importances(source: ReportSource) -> Panel:
    """Return the parameter importances among the trials that could be built."""
    results = source.results
    infeasible = [trial.number for trial in results.trials if trial.state == "infeasible"]
    return Panel(
        figure=draw_importance(
            importance_facts(source.trials(), results.settings.search.objectives, infeasible=infeasible)
        )
    )


PANELS: Mapping[PanelName, Callable[[ReportSource], Panel]] = {
    "front_macs": lambda source: Panel(figure=draw_front(front_facts(source.results, MACS, source.item))),
    "front_latency": lambda source: Panel(figure=draw_front(front_facts(source.results, LATENCY, source.item))),
    "leaving": leaving,
    "design": lambda source: Panel(
        figure=draw_design(
            design_facts(source.picked(), source.results.backbone, source.cut_point_macs, source.results.all_costs)
        )
    ),
    "explorer": explorer,
    "classes": lambda source: Panel(figure=draw_groups(class_facts(source.picked(), source.results.classes))),
    "difficulty": lambda source: Panel(figure=draw_groups(difficulty_facts(source.picked()))),
    "reliability": lambda source: Panel(figure=draw_reliability(reliability_facts(source.picked()))),
    "overthinking": lambda source: Panel(figure=draw_overthinking(overthinking_facts(source.picked()))),
    "agreement": lambda source: Panel(figure=draw_agreement(agreement_facts(source.picked()))),
    "distortions": distortions,
    "experts": experts,
    "confusion": lambda source: Panel(figure=draw_confusion(confusion_facts(source.picked()))),
    "explain": explanation,
    "policies": lambda source: Panel(above=policies_html(source.picked(), source.results.measure)),
    "regret": lambda source: Panel(figure=draw_regret(regret_facts(adapted(source.picked())))),
    "samples": samples,
    "latency": lambda source: Panel(figure=draw_latency(latency_facts(source.runs()))),
    "tiers": tiers,
    "progress": lambda source: Panel(figure=draw_progress(progress_facts(source.results))),
    "survivors": lambda source: Panel(
        figure=draw_survivors(survivors_facts(source.results, tuple(source.cut_point_macs)))
    ),
    "importances": importances,
}


def panel(name: str, source: ReportSource) -> Panel:
    """Return a panel by name. Fronts over costs that the study adds are not in PANELS."""
    make = PANELS.get(name)  # type: ignore[call-overload]
    return (
        make(source) if make else Panel(figure=draw_front(front_facts(source.results, name[len(FRONT) :], source.item)))
    )


WIDE: frozenset[PanelName] = frozenset(
    (
        *("design", "explorer", "reliability", "overthinking", "agreement", "distortions", "experts", "regret"),
        *("progress", "survivors"),
    )
)
"""The panels with panes or boxes side by side, which scroll in a narrow window."""

OF_LEAVING: frozenset[PanelName] = frozenset(
    (
        *("explorer", "classes", "difficulty", "reliability", "overthinking", "agreement", "confusion"),
        *("distortions", "policies", "regret", "samples"),
    )
)
"""The panels about the exits at which samples of the drawn network leave, and about the later exits' answers."""


def _shown(sample: Sample, picture: str, quote: str, classes: Sequence[str]) -> dict[str, object]:
    return {
        "quote": quote,
        "picture": picture,
        "drawn": picture.startswith("data:image/svg"),
        "label": classes[sample.label],
        "answer": classes[sample.answer],
        "right": sample.answer == sample.label,
        "confidence": percent(sample.score),
    }
