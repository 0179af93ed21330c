"""Importing a user's Python file with its sibling files, each folder as a private package."""

import builtins
import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PREFIX = "eenas_plugin_"
_SUFFIXES = (*importlib.machinery.SOURCE_SUFFIXES, *importlib.machinery.EXTENSION_SUFFIXES)


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
