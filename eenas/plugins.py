"""`package.module:name` or `./file.py:name` turned into the object it names, only with the user's word."""

import importlib
import os
from pathlib import Path
from typing import Any

from eenas.errors import PluginError, nearest
from eenas.escaping import shortened
from eenas.user_code import import_file

LONGEST = 1000
"""Characters of a reference."""


def is_reference(text: str) -> bool:
    """Whether `text` reads `package.module:name` or `./file.py:name` (and is no scheme such as `npz:PATH`)."""
    place, colon, name = text.rpartition(":")
    if not (colon and name.isidentifier()):
        return False
    return place.endswith(".py") or all(part.isidentifier() for part in place.split("."))


def load(reference: str, *, trust_code: bool, relative_to: Path | None = None) -> Any:
    """The object that `reference` names. A `./file.py` is looked for in `relative_to`, then in the working folder.

    Raises PluginError when code is not trusted, the module or file cannot be imported, or has no such name.
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
            f"{reference!r}: importing {place!r} ended the program (status {error.code}); put what it does when it is "
            'run under `if __name__ == "__main__":`'
        ) from error
    except Exception as error:  # whatever the user's module raises while it is imported
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise PluginError(f"{reference!r}: importing {place!r} failed: {type(error).__name__}: {reason}") from error
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(f"{reference!r}: {place!r} has no name {name!r}; {nearest(name, public)}")
    return getattr(module, name)


def _found(place: str, relative_to: Path | None) -> Path:
    """The file of a reference. Raises PluginError where there is none, which is said before trust is asked for."""
    if not place.isprintable() or len(place) > LONGEST:
        raise PluginError(f"{shortened(place)}: no path of a file; give a readable one of at most {LONGEST} characters")
    places = [(folder / place).resolve() for folder in (relative_to, Path.cwd()) if folder is not None]
    path = next((path for path in places if os.path.isfile(path)), None)
    if path is None:
        raise PluginError(f"{place!r}: no such file ({places[0]}); give a path relative to the file that names it")
    return path
