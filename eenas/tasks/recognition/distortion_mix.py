"""A mix of clean and distorted images, as experts and the distortion classifier are trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.tasks.distortions.distortion import check_kind, check_severity, distort
from eenas.tasks.distortions.strengths import SEVERITIES

PRISTINE = "pristine"
"""The name of the kind of images without distortion, and of the expert for them."""


@dataclass(frozen=True, kw_only=True)
class DistortionMix:
    """Each image is distorted with the probability `share`, by one of `kinds` at one of `severities`, equally likely.

    Raises TaskError for unknown or repeated kinds, severities outside 1..5, and a share outside [0, 1].
    """

    kinds: Sequence[str]
    severities: Sequence[int] = SEVERITIES
    share: float = 0.5

    def __post_init__(self) -> None:
        """Check the values."""
        check_kinds(self.kinds)
        if not isinstance(self.severities, list | tuple) or not self.severities:
            got = shortened(self.severities)
            raise TaskError(f"a mix of distortions needs a list of at least one severity of 1 to 5, got {got}")
        for severity in self.severities:
            check_severity(severity)
        if len(set(self.severities)) != len(self.severities):
            raise TaskError(f"the severities of a mix must be distinct, got {shortened(list(self.severities))}")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise TaskError(f"the share of distorted images must be in [0, 1], got {shortened(self.share)}")

    def apply(
        self, images: NDArray[np.uint8], generator: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Return images uint8 [n, C, H, W] of the mix, the kind [n] and the severity [n] of each.

        Kinds are numbered from 1 in the order of `kinds`; kind and severity are 0 for images that stay clean. Raises
        TaskError for images that cannot be distorted (`distort`).
        """
        count = len(images)
        drawn = generator.integers(1, len(self.kinds) + 1, size=count)
        kinds = np.where(generator.random(count) < self.share, drawn, 0).astype(np.int64)
        severities = generator.choice(np.array(self.severities, dtype=np.int64), size=count)
        severities = np.where(kinds > 0, severities, 0)
        changed = np.array(images)
        for number, kind in enumerate(self.kinds, start=1):
            for severity in dict.fromkeys(self.severities):
                rows = np.flatnonzero((kinds == number) & (severities == severity))
                if len(rows):
                    changed[rows] = distort(images[rows], kind, severity, generator)
        return changed, kinds, severities


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise TaskError unless `kinds` are different names of distortions, at least one."""
    if not isinstance(kinds, list | tuple) or not kinds or any(kind in kinds[:n] for n, kind in enumerate(kinds)):
        raise TaskError(f"kinds of distortions must be different names in a list, got {shortened(kinds)}")
    for kind in kinds:
        check_kind(kind)
