"""Importing a user's Python code by reference: files with their sibling files, each folder as a private package."""

import builtins
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from eenas.errors import PluginError, nearest
from eenas.escaping import shortened

PREFIX = "eenas_plugin_"
LONGEST = 1000
"""Characters of a reference."""
_SUFFIXES = (*importlib.machinery.SOURCE_SUFFIXES, *importlib.machinery.EXTENSION_SUFFIXES)


def load_object(reference: str, *, trust_code: bool, relative_to: Path | None = None) -> Any:
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
            f"{reference!r}: importing {place!r} ended the program (status {error.code}); move its script code "
            'under `if __name__ == "__main__":`'
        ) from error
    except Exception as error:  # whatever the user's module raises while it is imported
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise PluginError(f"{reference!r}: importing {place!r} failed: {type(error).__name__}: {reason}") from error
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(f"{reference!r}: {place!r} has no name {name!r}; {nearest(name, public)}")
    return getattr(module, name)


def is_there(reference: str, relative_to: Path | None = None) -> bool:
    """Whether the file of a reference can be found; a module counts as found."""
    place = reference.rpartition(":")[0]
    return not place.endswith(".py") or any(os.path.isfile(path) for path in _places(place, relative_to))


def _places(place: str, relative_to: Path | None) -> list[Path]:
    return [(folder / place).resolve() for folder in (relative_to, Path.cwd()) if folder is not None]


def _found(place: str, relative_to: Path | None) -> Path:
    """The file of a reference. Raises PluginError where there is none, which is said before trust is asked for."""
    if not place.isprintable() or len(place) > LONGEST:
        raise PluginError(f"{shortened(place)}: no path of a file; give a readable one of at most {LONGEST} characters")
    places = _places(place, relative_to)
    path = next((path for path in places if os.path.isfile(path)), None)
    if path is None:
        raise PluginError(f"{place!r}: no such file ({places[0]}); give a path relative to the file that names it")
    return path


def import_file(path: Path) -> ModuleType:
    """Import the Python file `path` once and return its module.

    It can import its sibling files and packages as a script can: `from blocks import X`, `from .blocks import X`,
    `import models.blocks`, also inside functions and in the siblings. `sys.path` is unchanged, and files of the same
    name in two folders are two modules. Exceptions of the file propagate; the next call imports it again.
    """
    folder = path.parent
    package = f"{PREFIX}{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # before the finder without `_Import`
    if package not in sys.modules:
        holder = ModuleType(package, f"The files in {folder}.")
        holder.__path__ = [str(folder)]
        holder.__spec__ = importlib.machinery.ModuleSpec(package, None, is_package=True)
        sys.modules[package] = holder
    name = f"{package}.{path.stem.replace('.', '_')}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    try:
        _Loader(name, str(path)).exec_module(module)
    except BaseException:
        for read in set(sys.modules) - before:  # this file, and the siblings imported so far
            if read.startswith(f"{package}."):
                del sys.modules[read]
        raise
    return module


@contextmanager
def replaced_builtin(name: str, value: Any) -> Iterator[None]:
    """Replace the builtin `name` by `value` inside the block, also in files imported by `import_file`.

    Each of these files has its own table of builtins, which a change of the module `builtins` does not affect.
    """
    own = getattr(builtins, name)
    setattr(builtins, name, value)
    for table in _tables():
        table[name] = value
    try:
        yield
    finally:
        setattr(builtins, name, own)
        for table in _tables():  # including files first imported inside the block
            table[name] = own


def _tables() -> list[dict[str, Any]]:
    """Return the tables of builtins of all imported user files."""
    files = [module for name, module in list(sys.modules.items()) if name.startswith(PREFIX)]
    return [table for file in files if isinstance(table := vars(file).get("__builtins__"), dict)]


class _Finder:
    """Finds modules of the private packages only."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if not fullname.startswith(PREFIX) or path is None:
            return None
        loaders = (
            (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
            (_Loader, importlib.machinery.SOURCE_SUFFIXES),
        )
        for folder in path:
            found = importlib.machinery.FileFinder(folder, *loaders).find_spec(fullname)
            if found is not None:
                return found  # for a folder without __init__.py, a package without a loader
        return None


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a file whose imports look beside the user's file first."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the file."""
        package = module.__name__.partition(".")[0]
        own = _Import(package, Path(sys.modules[package].__path__[0]), module.__name__)
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": own}
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile the file without a cache, because its time stamps miss a second change within one second."""
        return self.source_to_code(self.get_data(self.path), self.path)


class _Import:
    """`__import__` for the modules of one folder."""

    def __init__(self, package: str, folder: Path, importer: str) -> None:
        self.package, self.folder, self.importer = package, folder, importer

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import by an absolute name. Files in the folder come first, as for a script."""
        top = name.partition(".")[0]
        ordinary: Callable[..., ModuleType] = builtins.__import__
        if level or top in ("", "eenas") or f"{self.package}.{top}" == self.importer:
            return ordinary(name, globals, locals, fromlist or (), level)
        beside = self._beside(top)
        if beside is None or beside == _known(top):
            try:
                return ordinary(name, globals, locals, fromlist or (), level)
            except ModuleNotFoundError as error:
                if error.name != top or not (self.folder / top).is_dir():
                    raise
        found = ordinary(f"{self.package}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{self.package}.{top}"]

    def _beside(self, top: str) -> Path | None:
        """Return the file of a sibling module or package, None for a folder without __init__.py."""
        places = (self.folder / top / "__init__.py", *(self.folder / f"{top}{suffix}" for suffix in _SUFFIXES))
        return next((place for place in places if place.is_file()), None)


def _known(top: str) -> Path | None:
    """Return the file of the module `top` in Python's own search. If it equals the sibling, both are one module."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):  # modules without a proper spec
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve()
