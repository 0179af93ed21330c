"""The smallest task and backbone for tests, where training takes about a second."""

import numpy as np
from torch import nn

from eenas.seeding import derive
from eenas.tasks.task import Task

SIZE = 8  # pixels
SAMPLES = 100  # of each class
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


def smallest_task(seed: int = 0) -> Task:
    """Return a learnable task of 400 colour images of 8 px in four classes.

    The splits have 240 (train), 40 (calibration), 60 (validation) and 60 (test) images. The class is the corner that is
    brighter than the noise. The contrasts differ, so confidences vary. A horizontal flip changes the class. The same
    seed gives the same task and digest.
    """
    generator = np.random.default_rng(derive(seed, "smallest task"))
    labels = np.repeat(np.arange(len(CORNERS)), SAMPLES)
    images = generator.normal(90.0, 25.0, size=(len(labels), SIZE, SIZE, 3))
    contrast = generator.uniform(5.0, 120.0, size=(len(labels), 1, 1, 1))
    half = SIZE // 2
    for number, (down, right) in enumerate(CORNERS.values()):
        corner = (labels == number, slice(down * half, down * half + half), slice(right * half, right * half + half))
        images[corner] += contrast[labels == number]
    return Task.from_arrays(
        "smallest", np.clip(np.rint(images), 0, 255).astype(np.uint8), labels, classes=tuple(CORNERS), flip=False
    )


def smallest_backbone(num_classes: int = len(CORNERS)) -> nn.Sequential:
    """Return four convolutional blocks for images `[N, 3, 8, 8]` and a classifier, in a plain `nn.Sequential`."""

    def block(channels: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )

    return nn.Sequential(
        block(3, 8, 1),
        block(8, 16, 2),
        block(16, 16, 1),
        block(16, 32, 2),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes)),
    )
