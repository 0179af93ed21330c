"""The features of the frozen backbone on disk, from which the branches of the bank are trained."""

from collections.abc import Sequence
from typing import Any

from eenas.frozen.feature_cache import FeatureCache, FeatureStream, read_size
from eenas.progress import Notice
from eenas.specs import digest
from eenas.study.context.study_context import StudyContext


class BankFeatures:
    """The features of a study, if its settings give them disk space. `conditions` are those of the branches."""

    def __init__(self, context: StudyContext, conditions: Sequence[Any]) -> None:
        self._conditions, size = conditions, context.settings.bank.feature_cache
        self._exact = any(point.shape.carries_numbers for point in context.profile.cut_points)
        self._cache: FeatureCache | None = None
        if size:
            folder = context.artifacts.root / "features"
            self._cache = FeatureCache(folder, read_size(size), lambda text: context.listener(Notice(text)))

    def stream(self, name: str, rows: int | None) -> FeatureStream | None:
        """Return the features of a split with so many rows, or None without disk space or rows."""
        if self._cache is None or rows is None:
            return None
        return self._cache.stream(digest([*self._conditions, name]), rows, exact=self._exact)
