"""The options of `eenas.search` in Python."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from eenas.progress import Listener

if TYPE_CHECKING:
    import optuna


class SearchOptions(TypedDict, total=False):
    """What `eenas.search` takes beside backbone, task and study file; every key is optional.

    `weights`, `space`, `trials` (a total), `timeout` (seconds), `seed` and `overrides` ("table.key=value") are
    shortcuts for keys of a study file. `storage`, `name` and `artifacts` say where the study lies, `device` where it
    runs. `sampler` is any sampler of Optuna, `callbacks` are called with Optuna's study and trial after each trial and
    end the search by `study.stop()`. `progress` False shows no bars, `optuna_log` True shows Optuna's own lines.
    `trust_code` lets Python code that is named run. `remeasure`, `latency_profile` and `accept_changed_data` are the
    flags of `eenas search`. `listener` hears every event in the place of the bars.
    """

    weights: str | None
    space: str | Path | None
    trials: int | None
    timeout: float | None
    seed: int | None
    overrides: Sequence[str]
    storage: str
    name: str | None
    artifacts: str | Path | None
    device: str
    sampler: "optuna.samplers.BaseSampler | None"
    callbacks: "Sequence[Callable[[optuna.Study, optuna.trial.FrozenTrial], None]]"
    progress: bool
    optuna_log: bool
    trust_code: bool
    remeasure: bool
    latency_profile: str | Path | None
    accept_changed_data: bool
    listener: Listener
