"""The TOML files that come with eenas, found in the installed package or in the checkout."""

from pathlib import Path
from typing import Literal

from eenas.errors import SpecError, nearest

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
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise SpecError(f"{name}: no such file; give a path or one of the shipped names ({', '.join(names(kind))})")
    raise SpecError(f"{name!r}: no shipped file of {kind} has this name; {nearest(name, names(kind))}")
