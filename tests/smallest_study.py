"""A study on the smallest task, and how it is trained fully: what the tests of full training and export share."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from eenas.progress import Event
from eenas.results.choice import Choice
from eenas.results.results import StudyResults
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.testing.smallest import smallest_backbone, smallest_task

SETTINGS = (
    "prepare.training.epochs=3",
    "training.epochs=0.5",
    "full_training.epochs=1",
    "baselines.static=0",
    *(f"{name}.{value}" for name in ("training", "prepare.training", "full_training") for value in (
        "batch_size=16", "precision=float32", "channels_last=false", "small_maps=false")),
    "latency.runtime=torch",
    "latency.seconds=0.01",
    "latency.min_repeats=2",
    "latency.warmup=1",
    "prepare.when=always",
)  # fmt: skip


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
        return f"sqlite:///{self.folder}/eenas.db"

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


def make_study(folder: Path) -> SmallestStudy:
    storage = f"sqlite:///{folder}/eenas.db"
    results = search(
        backbone(), task=smallest_task(), storage=storage, device="cpu", overrides=SETTINGS, space="small", trials=4
    )
    return SmallestStudy(folder, results)


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
