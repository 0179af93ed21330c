"""The table `[task.distortions]`: the kinds and severities at which the images of a task are distorted too."""

from dataclasses import dataclass
from typing import Any

from eenas.errors import TaskError, nearest
from eenas.escaping import shortened
from eenas.tasks.distortions.strengths import SEVERITIES, SMALL

FILES = {"jpeg": "jpeg_compression", "elastic": "elastic_transform", "frost": "frost", "spatter": "spatter"}
"""The file names in CIFAR-10-C of kinds with another name there, and of kinds that only files have."""
KINDS = tuple(SMALL)
"""The kinds that are made on the fly."""
_MOST = 100  # versions of a sample, and kinds


@dataclass(frozen=True, kw_only=True)
class DistortionsSpec:
    """The distortions of a task of images, by kind and severity.

    Samples of the test split are distorted in every combination. Without `files`, images are distorted on the fly.
    """

    kinds: tuple[str, ...]
    """The kinds of distortion; `eenas list distortions` lists them."""
    severities: tuple[int, ...] = SEVERITIES
    """The severities of each kind, from 1 to 5."""
    share: float = 0.0
    """Share of the training images, drawn by `seed`, that are replaced by a distorted version; 0: training on pristine
    images."""
    copies: int = 1
    """Distorted versions of each sample of calibration and validation, of different kinds and severities, so that every
    combination is equally frequent."""
    seed: int = 0
    """Seed of the drawn kinds, severities and training images."""
    files: str = ""
    """A folder of CIFAR-10-C: a file KIND.npy for each kind and labels.npy, in the order of the test source."""
    per_context: bool = False
    """Whether full training fits thresholds for each context besides the common ones; exported models then decide by
    them."""

    def __post_init__(self) -> None:
        """Raise TaskError for unknown kinds and severities, and for shares and numbers out of range."""
        known = (*KINDS, *FILES) if self.files else KINDS
        if not self.kinds or len(set(self.kinds)) != len(self.kinds) or len(self.kinds) > _MOST:
            raise TaskError(
                f"distortions.kinds must be one or more distinct kinds, got {shortened(list(self.kinds))}; "
                f"the kinds are {', '.join(KINDS)}"
            )
        for kind in self.kinds:
            if kind in FILES and kind not in known:
                raise TaskError(
                    f"distortions.kinds: {kind} is only read from files; set distortions.files, or leave it out"
                )
            if kind not in known:
                raise TaskError(f"distortions.kinds: unknown kind {shortened(kind)}; {nearest(str(kind), known)}")
        found = self.severities
        if not found or len(set(found)) != len(found) or any(each not in SEVERITIES for each in found):
            raise TaskError(
                f"distortions.severities must be distinct whole numbers from {SEVERITIES[0]} to {SEVERITIES[-1]}, got "
                f"{shortened(list(found))}"
            )
        if not 0 <= self.share <= 1:
            raise TaskError(f"distortions.share must be a share of the training images in [0, 1], got {self.share}")
        if self.share and self.files:
            raise TaskError(
                f"distortions.share = {self.share} needs images distorted on the fly, since files hold the test source "
                "only; leave distortions.files or distortions.share out"
            )
        if not 1 <= self.copies <= len(self.kinds) * len(found):
            raise TaskError(
                f"distortions.copies must be from 1 to the {len(self.kinds) * len(found)} combinations of kinds and "
                f"severities, got {self.copies}"
            )
        if self.seed < 0:
            raise TaskError(f"distortions.seed must not be negative, got {self.seed}")

    @property
    def identity(self) -> dict[str, Any]:
        """The values that decide on samples, without the place of the files."""
        return {name: value for name, value in vars(self).items() if name != "per_context"} | {
            "files": bool(self.files)
        }

    @property
    def contexts(self) -> tuple[tuple[str, int], ...]:
        """Every kind with every severity, in order."""
        return tuple((kind, severity) for kind in self.kinds for severity in sorted(self.severities))
