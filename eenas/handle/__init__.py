"""The handle: a study in Python, from its search to its report."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.handle.best_splits import WantedTiers, best_splits
    from eenas.handle.options import HandleOptions
    from eenas.handle.study import Study, search

_HOMES = {
    "HandleOptions": "options",
    "Study": "study",
    "WantedTiers": "best_splits",
    "best_splits": "best_splits",
    "search": "study",
}
__all__ = [
    "HandleOptions",
    "Study",
    "WantedTiers",
    "best_splits",
    "search",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
