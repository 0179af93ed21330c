"""Searches of the smallest backbone on the smallest task, and one study of them with its full training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import torch
from optuna.trial import TrialState

from eenas.progress import Event, silent
from eenas.records.database import Database
from eenas.results.choice import Choice
from eenas.results.results import StudyResults
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.study.study import open_storage, origin
from eenas.testing.smallest import smallest_backbone, smallest_task

SETTINGS = (
    "prepare.training.epochs=3",
    "training.epochs=0.5",
    "full_training.epochs=1",
    "baselines.static=0",
    "baselines.published=[]",
    *(f"{name}.{value}" for name in ("training", "prepare.training", "full_training") for value in (
        "batch_size=16", "precision=float32", "channels_last=false", "small_maps=false")),
    "latency.runtime=torch",
    "latency.seconds=0.01",
    "latency.min_repeats=2",
    "latency.warmup=1",
    "prepare.when=always",
)  # fmt: skip


QUEUED = 3
"""Known designs, which are the first trials of a search with `bank.designs=0`."""


def backbone():
    """The same module every time, first weights included."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return smallest_backbone()


@dataclass(frozen=True)
class SmallestStudy:
    """A finished study in a folder of its own."""

    folder: Path
    results: StudyResults = field(repr=False)

    @property
    def storage(self) -> str:
        return url(self.folder)

    @property
    def trial(self) -> int:
        """The trial with the most branches."""
        return max(self.results.trials, key=lambda trial: len(trial.design.branches)).number

    def train(self, out: Path, **options) -> RunReport:
        """Train that trial fully; options are those of `train`."""
        options.setdefault("choice", Choice(network=f"trial {self.trial}"))
        options.setdefault("backbone", backbone())
        options.setdefault("task", smallest_task())
        return train(self.storage, out=out, device="cpu", **options)


def url(folder: Path) -> str:
    """The storage of the searches below, with its artifacts beside it."""
    return f"sqlite:///{folder}/eenas.db"


def run_search(folder: Path, **options) -> StudyResults:
    """Search the smallest backbone on the smallest task in `folder`; options are those of `search`.

    The first trials are queued: QUEUED known designs, behind as many of the frozen front as `bank.designs` allows.
    The sampler proposes those that follow.
    """
    defaults = {"task": smallest_task(), "space": "small", "overrides": SETTINGS, "device": "cpu"}
    module = options.pop("module", None)
    return search(backbone() if module is None else module, storage=url(folder), **{**defaults, **options})


def drawn(storage: str, name: str) -> list[dict]:
    """The parameters of the completed trials that the sampler proposed, in the order of the trials."""
    opened = open_storage(Database(storage, create=False))
    trials = optuna.load_study(study_name=name, storage=opened).trials
    opened.engine.dispose()
    return [each.params for each in trials if each.state == TrialState.COMPLETE and origin(each) == "sampler"]


def study_context(
    storage: str, overrides: Sequence[str] = SETTINGS, *, space: str | None = "small", **reference
) -> StudyContext:
    """The context of such a search as a worker makes it; `reference` holds other values of a `StudyReference`."""
    settings, _ = load_settings(backbone="-", space=space, overrides=overrides)
    defaults = {"backbone": backbone(), "task": smallest_task(), "listener": silent}
    return make_context(settings, StudyReference(storage=storage, **{**defaults, **reference}), device="cpu")


def make_study(folder: Path) -> SmallestStudy:
    return SmallestStudy(folder, run_search(folder, trials=4))


class Killed(BaseException):
    """Raised by a listener where a process would be killed."""


def kill_in(phase: str, after: float):
    """A listener that kills when `phase` has advanced by more than `after` percent; it keeps what it heard."""
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        if getattr(event, "phase", None) == phase and getattr(event, "done", 0.0) > after:
            raise Killed

    listen.heard = heard
    return listen
