"""The worth of experts for distorted images: the run that has them, curves over the severity, rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.percent import percent
from eenas.runs.run_report import RunReport
from eenas.tasks.distortions.contexts import CLEAN, kind_of, severity_of


@dataclass(frozen=True, kw_only=True)
class ExpertCurves:
    """One kind of distortion: shares in [0, 1] over rising `severities`, of which 0 is clean.

    `experts` and `plain` are the accuracies with and without experts. `right` are the shares of images that the
    classifier sends to the right expert: that of the kind, and that for clean images at severity 0.
    """

    kind: str
    severities: tuple[int, ...]
    experts: tuple[float, ...]
    plain: tuple[float, ...]
    right: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class WorthFacts:
    """All kinds of the experts of a run, and the table of their worth under `heads`."""

    title: str
    subtitles: tuple[str, ...]
    kinds: tuple[ExpertCurves, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def run_with_experts(runs: Sequence[RunReport], item: str | None) -> RunReport | None:
    """Return the newest run of the network `item` with experts, or the newest run with experts; None without one.

    `runs` are ordered from the oldest to the newest.
    """
    found = [run for run in runs if run.experts is not None]
    own = [run for run in found if run.network == item]
    return next(reversed(own or found), None)


def worth_facts(name: str, figures: ExpertFigures) -> WorthFacts:
    """Return the facts of the experts of the network `name`."""
    share = figures.classifier_macs / figures.backbone_macs
    clean, *others = figures.worth
    rise = percent(clean.macs / figures.backbone_macs), percent(clean.plain_macs / figures.backbone_macs)
    return WorthFacts(
        title="Worth of experts",
        subtitles=(
            f"{name} on test images; severity 0: clean images, at {rise[0]} of the backbone's MACs ({rise[1]} without)",
            f"choosing the expert takes {figures.classifier_macs:,} MACs, {percent(share, 2)} of the backbone's",
            *((figures.size,) if figures.size else ()),
        ),
        kinds=tuple(_curves(figures, number) for number in range(1, 1 + len(others))),
        heads=("expert", "accuracy", "without", "worth", "MACs", "without", *(f"to {each}" for each in figures.names)),
        rows=tuple(
            (
                each.expert,
                percent(each.accuracy),
                percent(each.plain_accuracy),
                f"{100 * (each.accuracy - each.plain_accuracy):+z.1f}",
                percent(each.macs / figures.backbone_macs),
                percent(each.plain_macs / figures.backbone_macs),
                *(percent(chosen, 0) for chosen in each.chosen),
            )
            for each in figures.worth
        ),
    )


def _curves(figures: ExpertFigures, number: int) -> ExpertCurves:
    """Return the curves of the expert with this number, from clean images on."""
    kind = figures.names[number]
    clean = [(0, 0, each) for each in figures.contexts if each.context == CLEAN]
    own = [(severity_of(each.context), number, each) for each in figures.contexts if kind_of(each.context) == kind]
    found = [*clean, *sorted(own, key=lambda triple: triple[0])]
    return ExpertCurves(
        kind=kind,
        severities=tuple(severity for severity, _, _ in found),
        experts=tuple(each.accuracy for _, _, each in found),
        plain=tuple(each.plain_accuracy for _, _, each in found),
        right=tuple(each.chosen[expert] for _, expert, each in found),
    )
