"""The smallest network and study of texts."""

from pathlib import Path

import torch

import eenas
from eenas.backbones.models.text_transformer import TextTransformer
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.handle.study import Study
from eenas.tasks.load import load_task
from eenas.tasks.task import Task
from tests.smallest_study import SETTINGS


class SmallTextNet(TextTransformer):
    """Three layers of width 16 on ids below 512."""

    eenas_transform = TextTransform(vocabulary=512, max_length=48)

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, width=16, depth=3, heads=2, dropout=0.0)


def text_network() -> torch.nn.Module:
    """The same module every time, first weights included."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SmallTextNet(4)


def text_task(count: int = 320) -> Task:
    """Some of the embedded phrases."""
    task = load_task("phrases")
    texts, labels = task.train.samples.texts(task.train.rows[:count]), task.train.labels[:count]
    return Task.from_arrays("some", texts, labels, classes=task.classes)


def text_study(folder: Path, *settings: str, trials: int = 1) -> Study:
    """A study of the smallest network on these phrases, in the folder."""
    return eenas.search(
        text_network(),
        task=text_task(),
        storage=f"sqlite:///{folder}/eenas.db",
        space="text",
        trials=trials,
        overrides=(*SETTINGS, "bank.branches=6", *settings),
        device="cpu",
        listener=lambda event: None,
        progress=False,
    )
