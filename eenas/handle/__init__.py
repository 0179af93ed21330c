"""The handle: a study in Python, from its search to its report."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.handle.options import HandleOptions
    from eenas.handle.study import Study, search
    from eenas.handle.wanted_tiers import WantedTiers, best_splits

_HOMES = {
    "HandleOptions": "options",
    "Study": "study",
    "WantedTiers": "wanted_tiers",
    "best_splits": "wanted_tiers",
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
