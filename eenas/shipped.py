"""The TOML files that come with eenas, found in the installed package or in the checkout."""

import os
from pathlib import Path
from typing import Literal

from eenas.errors import SpecError, nearest
from eenas.escaping import shortened

Kind = Literal["search_spaces", "studies", "dashboards"]


def folder(kind: Kind) -> Path:
    """The folder of one kind: inside the installed package first, in the checkout next."""
    package = Path(__file__).parent
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


def names(kind: Kind) -> tuple[str, ...]:
    """The names that `find` knows without a path, sorted."""
    return tuple(sorted(file.stem for file in folder(kind).glob("*.toml")))


def find(kind: Kind, name: str) -> Path:
    """A shipped file by its bare name (`default`), or a file of the user by its path (`./mine.toml`)."""
    if name in names(kind):
        return folder(kind) / f"{name}.toml"
    path = Path(name)
    if os.path.isfile(name):  # unlike Path.is_file it takes any text
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise SpecError(f"{shortened(name)}: no such file; give a path or a shipped name ({', '.join(names(kind))})")
    raise SpecError(f"{shortened(name)}: no shipped file of {kind} has this name; {nearest(name, names(kind))}")
