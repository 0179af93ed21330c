"""scikit-learn's handwritten digits, the embedded task of images."""

import numpy as np

from eenas.tasks.images.frame import Size
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

INPUT_SIZE = 32  # pixels


def digits_task(splits: SplitsSpec | None = None, *, input_size: Size | None = None, flip: bool = False) -> Task:
    """Return scikit-learn's handwritten digits: 1,797 grey images of 8 px in ten classes.

    They are the test set of UCI's optical recognition of handwritten digits. Their 17 levels are scaled to 0..255.
    `input_size` defaults to 32 px.

    Raises TaskError if the splits do not fit.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(digit) for digit in range(10))
    return Task.from_arrays(
        "digits", images, data.target, classes=names, splits=splits, flip=flip, input_size=input_size or INPUT_SIZE
    )
