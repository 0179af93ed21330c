"""The keys of a study file that functions take as keywords."""

from pathlib import Path
from typing import TypedDict


class Shortcuts(TypedDict, total=False):
    """Keys of a study file that are said so often that they have a name of their own; None leaves the file's."""

    weights: str | None
    space: str | Path | None
    trials: int | None
    timeout: float | None
    seed: int | None
