"""A network under distortions: its scores in each context from the exit tables of the search, and rows of a table."""

from collections.abc import Sequence

from eenas.percent import percent
from eenas.policies.contexts.context_scores import ContextScores
from eenas.policies.exit_table import ExitTable
from eenas.records.artifacts import ArtifactStore
from eenas.reporting.facts.picked import exit_table_of
from eenas.results.results import StudyResults
from eenas.runs.run_contexts import context_scores
from eenas.study.rivals.known_networks import BACKBONE
from eenas.study.rivals.offered_points import FrontPoint
from eenas.tasks.distortions.contexts import CLEAN, kind_of, severity_of
from eenas.tasks.distortions.distorted_splits import PREFIX

SPLIT = "validation"
NAMES = ("calibration", SPLIT, PREFIX + SPLIT)
HEADS = (
    *("context", "accuracy", "backbone", "MACs", "leave at each exit", "exits alone"),
    *("calibration error", "of the backbone", "wasteful", "destructive"),
)
"""The heads of the columns of `context_rows`."""


def load_contexts(
    results: StudyResults, item: FrontPoint | None, artifacts: ArtifactStore
) -> tuple[ContextScores, ...]:
    """Return the scores of a point on pristine and distorted validation samples, from tables in `artifacts`.

    Empty without a point, or if the study has no distorted samples. Raises StorageError if a table is missing.
    """
    if item is None or results.settings.task.distortions is None:
        return ()
    own, plain = ({split: exit_table_of(results, name, split, artifacts) for split in NAMES} for name in _names(item))
    return scores_of(item, own, plain)


def scores_of(item: FrontPoint, own: dict[str, ExitTable], plain: dict[str, ExitTable]) -> tuple[ContextScores, ...]:
    """Return the scores of a point from the tables of its network and of the plain backbone."""
    return context_scores(item.point.policy, own, plain, SPLIT)


def context_rows(scores: Sequence[ContextScores], backbone_macs: float) -> list[tuple[str, ...]]:
    """Return a row of texts under HEADS for each context. Calibration errors are in points, one for each exit."""
    return [
        (
            each.context.replace(":", " "),
            percent(each.accuracy),
            percent(each.backbone_accuracy),
            percent(each.macs / backbone_macs, 0),
            _numbers(each.shares),
            _numbers(each.exit_accuracy),
            _numbers(each.calibration_error),
            "–" if each.backbone_calibration_error is None else f"{100 * each.backbone_calibration_error:.0f}",
            percent(each.wasteful),
            percent(each.destructive),
        )
        for each in scores
    ]


def by_kind(scores: Sequence[ContextScores]) -> dict[str, list[tuple[int, ContextScores]]]:
    """Return the severities and scores of each kind in rising order, beginning with pristine samples at severity 0."""
    pristine = [(0, each) for each in scores if each.context == CLEAN]
    found: dict[str, list[tuple[int, ContextScores]]] = {}
    for each in scores:
        if each.context != CLEAN:
            found.setdefault(kind_of(each.context), []).append((severity_of(each.context), each))
    return {kind: [*pristine, *sorted(own, key=lambda pair: pair[0])] for kind, own in found.items()}


def _names(item: FrontPoint) -> tuple[str, str]:
    return item.name, BACKBONE


def _numbers(shares: Sequence[float]) -> str:
    return " ".join(f"{100 * share:.0f}" for share in shares)
