"""The best that a study has reached so far, of all workers, in a few words."""

from collections.abc import Sequence

import numpy as np

from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.policies.costs import MACS
from eenas.records.claims import Claims
from eenas.records.studies import StudyRecords
from eenas.records.trials import TrialRecords
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.known_networks import KnownNetwork, recorded_networks
from eenas.study.rivals.offered_points import offered


class BestSoFar:
    """The undominated points of the trials of all workers and of the baselines, kept in the database."""

    def __init__(self, context: StudyContext, claims: Claims, study: str) -> None:
        """Add the baselines, and the trials of a study whose best was never kept."""
        self._context, self._claims, self._backbone = context, claims, context.backbone_facts()
        record = StudyRecords(context.database).get(study)
        if record is not None:
            is_new = not claims.best() and claims.ended()
            trials = TrialRecords(context.database).list(study) if is_new else ()
            claims.add_best(self.points(recorded_networks(record, trials)))

    def points(self, networks: Sequence[KnownNetwork]) -> list[tuple[float, float]]:
        """Return accuracy and MACs of the points that hold the limits of the study."""
        items = offered(networks, self._backbone, self._context.settings.constraints)
        return [(item.point.accuracy, item.point.expected[MACS]) for item in items]

    def text(self) -> str:
        """Return the hypervolume and the best accuracy at half of the backbone's MACs, "" before the first point."""
        best = self._claims.best()
        if not best:
            return ""
        total, chance = self._context.profile.total_macs, 1.0 / self._context.task.num_classes
        accuracy, macs = np.array(best).T
        area = hypervolume(accuracy, macs / total, reference_cost=REFERENCE_COST, reference_accuracy=chance)
        half = accuracy[macs <= 0.5 * total]
        return f"hypervolume {area:.3f}" + (f", {100 * half.max():.1f} % at 50 % MACs" if len(half) else "")
