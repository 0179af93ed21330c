"""Search: the study, its trials, baselines and full training; `eenas.search(...)` itself starts a search."""

import sys
from types import ModuleType
from typing import Any


class _CallableStep(ModuleType):
    """The step is a package and, since users write `eenas.search(...)`, also the function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call `eenas.search.whole_search.search`."""
        from eenas.search.whole_search import search

        return search(*arguments, **options)


sys.modules[__name__].__class__ = _CallableStep
