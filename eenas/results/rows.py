"""The trials and operating points of a study as rows of plain values, for data frames."""

from collections.abc import Iterable
from typing import Any

from eenas.policies.costs import key_of
from eenas.results.results import StudyResults
from eenas.study.rivals.offered_points import FrontPoint, points_of


def point_rows(results: StudyResults) -> list[dict[str, Any]]:
    """Return a row for each operating point of every network, including points outside the limits of the study.

    `accuracy` in [0, 1] is on validation. Each cost has its expected and worst value per sample and the expected value
    as a share of the plain backbone's: `expected_macs`, `macs_share`, `worst_macs`, `expected_latency_ms` and so on,
    None if not measured. `leaving` holds the share of samples that leave at each exit. Accuracies under distortions are
    included if they were measured, and so is the best `split` of a study with tiers.
    """
    front = {(item.name, item.point): item for item in results.front}
    rows = []
    for network in results.networks:
        for each in points_of(network, results.backbone):
            point, kept = each.point, front.get((each.name, each.point))
            rows.append(
                {
                    "network": each.name,
                    "kind": each.kind,
                    "trial": each.trial,
                    "accuracy": point.accuracy,
                    **point.robustness,
                    **_costs(each, results.cost_names),
                    **({} if point.split is None else {"split": point.split}),
                    "leaving": point.shares,
                    "on_front": kept is not None,
                    "choice": kept is not None and kept.choice,
                    "recommended": kept is not None and kept.recommended,
                    "knee": kept is not None and kept.knee,
                }
            )
    return rows


def _costs(item: FrontPoint, names: Iterable[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in names:
        found[f"expected_{key_of(name)}"] = item.point.expected.get(name)
        found[f"{name}_share"] = item.cost_shares.get(name)
        found[f"worst_{key_of(name)}"] = item.point.worst.get(name)
    return found


def trial_rows(results: StudyResults) -> list[dict[str, Any]]:
    """Return a row for each trial: state, origin, branches, the values by objective, seconds, samples and design."""
    names = results.settings.search.objectives
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "origin": trial.origin,
            "branches": None if trial.design is None else len(trial.design.branches),
            "cut_points": None if trial.design is None else tuple(each.cut_point for each in trial.design.branches),
            **dict(zip(names, trial.values or (None,) * len(names), strict=True)),
            "seconds": trial.seconds,
            "samples": trial.samples,
            "reason": trial.reason,
            "design": None if trial.design is None else trial.design.to_json(),
        }
        for trial in results.trials
    ]
