"""The options of `eenas.search` in Python."""

from eenas.results.options import SearchOptions


class HandleOptions(SearchOptions, total=False):
    """Those of a search, and how it is shown: `progress` False shows no bars, `optuna_log` True Optuna's own lines.

    A `listener` hears every event in the place of the bars.
    """

    progress: bool
    optuna_log: bool
