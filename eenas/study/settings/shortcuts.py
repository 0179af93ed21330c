"""Keys of the study file that functions accept as keywords."""

from pathlib import Path
from typing import TypedDict


class Shortcuts(TypedDict, total=False):
    """Frequent keys of the study file as keywords. None keeps the value of the file."""

    weights: str | None
    space: str | Path | None
    trials: int | None
    timeout: float | None
    seed: int | None
