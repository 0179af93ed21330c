"""The options of `eenas.search` in Python."""

from eenas.workers.options import WorkerOptions


class HandleOptions(WorkerOptions, total=False):
    """The options of a search, of its workers and of its output.

    `progress` False hides the bars; `optuna_log` True shows Optuna's log of this process. A `listener`
    receives every event and replaces the bars.
    """

    progress: bool
    optuna_log: bool
