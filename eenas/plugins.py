"""Loading the object that `package.module:name` or `./file.py:name` names, only if the user trusts its code."""

import importlib
import os
from pathlib import Path
from typing import Any

from eenas.errors import PluginError, nearest
from eenas.escaping import shortened
from eenas.user_code import import_file

LONGEST = 1000
"""The largest number of characters of a file reference."""


def is_reference(text: str) -> bool:
    """Whether `text` has the form `package.module:name` or `./file.py:name` (unlike `npz:PATH`)."""
    place, colon, name = text.rpartition(":")
    if not (colon and name.isidentifier()):
        return False
    return place.endswith(".py") or all(part.isidentifier() for part in place.split("."))


def load(reference: str, *, trust_code: bool, relative_to: Path | None = None) -> Any:
    """Return the object that `reference` names.

    A `./file.py` is looked up in `relative_to`, then in the working directory. Raises PluginError if code is not
    trusted, the module or file cannot be imported, or the name does not exist in it.
    """
    place, _, name = reference.rpartition(":")
    path = _found(place, relative_to) if place.endswith(".py") else None
    if not trust_code:
        raise PluginError(f"{reference!r} runs Python code; pass --trust-code (trust_code=True) if you trust it")
    try:
        module = importlib.import_module(place) if path is None else import_file(path)
    except PluginError:
        raise
    except SystemExit as error:
        raise PluginError(
            f"{reference!r}: importing {place!r} ended the program (status {error.code}); move its script code "
            'under `if __name__ == "__main__":`'
        ) from error
    except Exception as error:  # any exception of the user's module
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise PluginError(f"{reference!r}: importing {place!r} failed: {type(error).__name__}: {reason}") from error
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(f"{reference!r}: {place!r} has no name {name!r}; {nearest(name, public)}")
    return getattr(module, name)


def _found(place: str, relative_to: Path | None) -> Path:
    """Return the file of a reference. Raises PluginError if it does not exist, before the check for trust."""
    if not place.isprintable() or len(place) > LONGEST:
        raise PluginError(f"{shortened(place)}: not a file path; give a printable one of at most {LONGEST} characters")
    places = [(folder / place).resolve() for folder in (relative_to, Path.cwd()) if folder is not None]
    path = next((path for path in places if os.path.isfile(path)), None)
    if path is None:
        raise PluginError(f"{place!r}: no such file ({places[0]}); give a path relative to the file that names it")
    return path
