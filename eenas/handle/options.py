"""The options of `eenas.search` in Python."""

from eenas.results.options import SearchOptions


class HandleOptions(SearchOptions, total=False):
    """The options of a search and of its output. `progress` False hides the bars; `optuna_log` True shows Optuna's log.

    A `listener` receives every event and replaces the bars.
    """

    progress: bool
    optuna_log: bool
