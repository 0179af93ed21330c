"""The handle: a study in Python, from its search to its report."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.handle.options import HandleOptions
    from eenas.handle.study import Study, search

_HOMES = {
    "HandleOptions": "options",
    "Study": "study",
    "search": "study",
}
__all__ = [
    "HandleOptions",
    "Study",
    "search",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
