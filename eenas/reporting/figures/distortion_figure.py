"""Accuracy under distortions: a pane for each kind, over the severity, beside the plain backbone."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.policies.contexts.context_scores import ContextScores
from eenas.reporting.facts.distortion_facts import by_kind
from eenas.reporting.facts.picked import Picked, exit_names, of_point
from eenas.reporting.figures import figure_style as style


@dataclass(frozen=True, kw_only=True)
class KindCurves:
    """One kind of distortion: accuracies in [0, 1] over rising `severities`, of which 0 is pristine.

    `exits` [K][severities] are those of each exit on all samples; `leaving` are the shares that leave before the end.
    """

    kind: str
    severities: tuple[int, ...]
    policy: tuple[float, ...]
    backbone: tuple[float | None, ...]
    exits: tuple[tuple[float, ...], ...]
    leaving: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DistortionFacts:
    """All kinds, with the names of the exits."""

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[str, ...]
    kinds: tuple[KindCurves, ...]


def distortion_facts(picked: Picked, scores: Sequence[ContextScores]) -> DistortionFacts:
    """Return the facts of the picked network from its scores in each context."""
    curves = []
    for kind, found in by_kind(scores).items():
        own = [each for _, each in found]
        curves.append(
            KindCurves(
                kind=kind,
                severities=tuple(severity for severity, _ in found),
                policy=tuple(each.accuracy for each in own),
                backbone=tuple(each.backbone_accuracy for each in own),
                exits=tuple(zip(*(each.exit_accuracy for each in own), strict=True)),
                leaving=tuple(1 - each.shares[-1] for each in own),
            )
        )
    return DistortionFacts(
        title="Accuracy under distortions",
        subtitles=(
            f"{of_point(picked)}, and distorted versions of them; severity 0: pristine",
            "the policy is fitted on pristine calibration samples; thin lines: each exit on all samples",
        ),
        exits=exit_names(picked),
        kinds=tuple(curves),
    )


def draw_distortions(facts: DistortionFacts) -> go.Figure:
    """Draw one pane for each kind: the policy, the plain backbone, and every exit alone."""
    names = [each.kind for each in facts.kinds]
    drawing, panes = style.kind_panes(facts.title, facts.subtitles, names, "accuracy, %")
    for number, (kind, pane) in enumerate(zip(facts.kinds, panes, strict=True)):
        for k, name in enumerate(facts.exits):
            line = {"color": style.depth_colour(k, len(facts.exits)), "width": 1}
            _line(drawing, kind, kind.exits[k], f"{name} alone", line=line, first=number == 0, **pane)
        dashed = {"color": style.BLUE, "width": 2, "dash": "dash"}
        _line(drawing, kind, kind.backbone, "plain backbone", line=dashed, first=number == 0, **pane)
        solid = {"color": style.VERMILLION, "width": 2}
        _line(drawing, kind, kind.policy, "the policy", line=solid, first=number == 0, **pane)
    return drawing


def _line(
    drawing: go.Figure,
    kind: KindCurves,
    accuracy: Sequence[float | None],
    name: str,
    *,
    line: dict[str, object],
    first: bool,
    **pane: int,
) -> None:
    shares = [f"{percent(share, 0)} leave early" if name == "the policy" else "" for share in kind.leaving]
    drawing.add_scatter(
        x=list(kind.severities),
        y=[None if value is None else round(100 * value, 2) for value in accuracy],
        text=shares,
        mode="lines+markers",
        name=in_figure(name),
        legendgroup=in_figure(name),
        showlegend=first,
        line=line,
        marker={"size": 5},
        hovertemplate=f"{in_figure(name)}: %{{y:.1f}} % at severity %{{x}} %{{text}}<extra></extra>",
        **pane,
    )
