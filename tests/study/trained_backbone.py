"""A backbone that knows the smallest task, and how a study context is made and prepared with it."""

import copy
from functools import cache

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from eenas.backbones.transforms.image_transform import default_transform
from eenas.testing.smallest import SIZE, smallest_backbone, smallest_task

SETTINGS = (
    "space.branches=3",
    "training.epochs=1",
    "prepare.training.epochs=6",
    *(f"{name}.{value}" for name in ("training", "prepare.training") for value in (
        "batch_size=16", "precision=float32", "channels_last=false", "small_maps=false")),
    "latency.runtime=torch",
    "latency.seconds=0.01",
    "latency.min_repeats=2",
    "latency.warmup=1",
)  # fmt: skip


@cache
def _trained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, task, transform = smallest_backbone(), smallest_task(seed=7), default_transform(SIZE, 3)
        images, labels = transform(task.train.images(SIZE, 3)[np.arange(240)]), torch.tensor(task.train.labels)
        optimizer = torch.optim.Adam(module.parameters(), lr=5e-3)
        for _ in range(30):
            optimizer.zero_grad()
            cross_entropy(module.train()(images), labels).backward()
            optimizer.step()
    return module.eval()


def trained():
    """A backbone that has learnt the smallest task on other images of it (about 96 %)."""
    return copy.deepcopy(_trained())


def untrained(num_classes=4):
    """The smallest backbone with its first weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return smallest_backbone(num_classes)


def images_of(task, splits):
    """The images [n, 8, 8, 3] and labels [n] of some splits of the smallest task."""
    images = [task.split(name).images(SIZE, 3)[np.arange(len(task.split(name)))] for name in splits]
    labels = np.concatenate([task.split(name).labels for name in splits])
    return torch.cat(images).permute(0, 2, 3, 1).numpy(), labels
