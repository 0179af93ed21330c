"""The TOML files shipped with eenas, in the installed package or the checkout."""

import os
from pathlib import Path
from typing import Literal

from eenas.errors import SpecError, nearest
from eenas.escaping import shortened

Kind = Literal["search_spaces", "studies", "dashboards"]


def folder(kind: Kind) -> Path:
    """Return the folder of one kind, in the installed package if it exists, else in the checkout."""
    package = Path(__file__).parent
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


def names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the shipped files of one kind, sorted."""
    return tuple(sorted(file.stem for file in folder(kind).glob("*.toml")))


def find(kind: Kind, name: str) -> Path:
    """Return a shipped file by its bare name (`default`), or the user's file by its path (`./mine.toml`).

    Raises SpecError if there is none.
    """
    if name in names(kind):
        return folder(kind) / f"{name}.toml"
    path = Path(name)
    if os.path.isfile(name):  # unlike Path.is_file it takes any text
        return path
    if os.path.isdir(name):
        raise SpecError(f"{shortened(name)}: a folder, not a file; give a .toml file or a shipped name")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise SpecError(f"{shortened(name)}: no such file; give a path or a shipped name ({', '.join(names(kind))})")
    raise SpecError(f"{shortened(name)}: no such file in {kind}; {nearest(name, names(kind))}")
