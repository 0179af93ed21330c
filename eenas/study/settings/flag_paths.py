"""The paths that flags name: those of the working folder, whatever lies beside the study file."""

import os
from pathlib import Path

from eenas.tasks.load import PATHS


def name_here(name: str | None, folder: Path | None) -> str | None:
    """Return the name of a task or backbone, with an absolute path if another file in `folder` would be read for it.

    `folder` is that of the study file, where the relative paths of a study are looked up first. A flag is typed in the
    working folder, so its path is the one there if there is one. Names without a conflict stay as they are, since they
    are part of the identity of a study.
    """
    if name is None:
        return None
    kind, colon, place = name.partition(":")
    if colon and kind in (*PATHS, "hf"):
        return f"{kind}:{path_here(place, folder)}"
    place, colon, part = name.rpartition(":")
    return f"{path_here(place, folder)}:{part}" if colon and place.endswith(".py") else name


def path_here(place: str | None, folder: Path | None) -> str | None:
    """Return a path as `name_here` does."""
    if not place or folder is None:
        return place
    there = folder / place
    if not (os.path.exists(place) and os.path.exists(there)) or os.path.samefile(place, there):
        return place
    return os.path.abspath(place)
