"""Results: a study read back."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.results.choice import Choice
    from eenas.results.options import SearchOptions
    from eenas.results.read import open_results
    from eenas.results.results import Baseline, StudyResults
    from eenas.results.status import StudyStatus

_HOMES = {
    "Baseline": "results",
    "Choice": "choice",
    "SearchOptions": "options",
    "StudyResults": "results",
    "StudyStatus": "status",
    "open_results": "read",
}
__all__ = [
    "Baseline",
    "Choice",
    "SearchOptions",
    "StudyResults",
    "StudyStatus",
    "open_results",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
