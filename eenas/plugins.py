"""`package.module:name` or `./file.py:name` turned into the object it names, only with the user's word."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from eenas.errors import PluginError, nearest


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
    if not trust_code:
        raise PluginError(f"{reference!r} runs Python code; pass --trust-code (trust_code=True) if you trust it")
    try:
        module = _from_file(place, relative_to) if place.endswith(".py") else importlib.import_module(place)
    except PluginError:
        raise
    except Exception as error:  # whatever the user's module raises while it is imported
        raise PluginError(f"{reference!r}: importing {place!r} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(f"{reference!r}: {place!r} has no name {name!r}; {nearest(name, public)}")
    return getattr(module, name)


def _from_file(place: str, relative_to: Path | None) -> Any:
    places = [(folder / place).resolve() for folder in (relative_to, Path.cwd()) if folder is not None]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        raise PluginError(f"{place!r}: no such file ({places[0]}); give a path relative to the file that names it")
    key = f"eenas_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if key in sys.modules:
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{place!r}: not a Python file; give a path that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[key]
        raise
    return module
