"""Scores of a network independent of its drawn policy: accuracy at fixed budgets, and hypervolume."""

from collections.abc import Mapping
from dataclasses import dataclass

from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.results.front import SHARES, area_by_macs


@dataclass(frozen=True, kw_only=True)
class NetworkScores:
    """A network's scores on validation with one common threshold, fitted on calibration.

    `at_shares` holds its accuracy in [0, 1] within each of `SHARES` of the backbone's MACs, or None if leaving at the
    first exit costs more. `hypervolume` is that of all its operating points, from (1.1 × backbone, chance).
    """

    at_shares: tuple[float | None, ...]
    hypervolume: float


def score_network(tables: Mapping[str, ExitTable], backbone: BackboneFacts) -> NetworkScores:
    """Return the scores of a network from its exit tables on "calibration" and "validation"."""
    calibration, validation = tables["calibration"], tables["validation"]
    fitting, chance = Fitting(calibration), 1.0 / calibration.num_classes
    points = fitting.at_shares(validation, backbone.macs, SHARES)
    return NetworkScores(
        at_shares=tuple(None if point is None else point.accuracy for point in points),
        hypervolume=area_by_macs(fitting.operating_points(validation), backbone, chance),
    )
