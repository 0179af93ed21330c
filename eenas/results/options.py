"""The options of a search."""

from collections.abc import Sequence
from pathlib import Path

import optuna

from eenas.progress import Listener
from eenas.records.stores.places import ArtifactPlace
from eenas.study.run import Callback
from eenas.study.settings.shortcuts import Shortcuts


class SearchOptions(Shortcuts, total=False):
    """What `search` takes beside backbone, task and study; every key is optional.

    `weights`, `space`, `trials` (a total), `timeout` (seconds for all that is done), `seed` and `overrides`
    ("table.key=value") override the study file. `storage`, `name` and `artifacts` say where the study lies, with
    artifacts in a folder, at `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`, or in an `eenas.records.ObjectStore`.
    `device` says where it runs. `sampler` proposes in the place of the one that the settings name, and belongs to the
    study's identity by its class; `callbacks` are called with Optuna's study and trial after each trial and end the
    search by `study.stop()`. `trust_code` lets Python code that is named run. `remeasure` measures MACs and latencies
    again that are in the storage. `latency_profile` is a file that `eenas profile` wrote, on another machine perhaps:
    latencies are then taken from it and nothing is timed. With `accept_changed_data` the study `name` goes on although
    its data changed, where its results still hold: added files are left out, a changed test split is taken as it is.
    `listener` hears every event.
    """

    overrides: Sequence[str]
    storage: str
    name: str | None
    artifacts: ArtifactPlace | None
    device: str
    sampler: optuna.samplers.BaseSampler | None
    callbacks: Sequence[Callback]
    trust_code: bool
    remeasure: bool
    latency_profile: str | Path | None
    accept_changed_data: bool
    listener: Listener
