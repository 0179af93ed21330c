"""The source of `runtime.py`: the runtime and all eenas modules that it imports, joined in one file.

The file is assembled at export instead of being written twice or packed. An export then carries exactly the statements
that eenas runs and tests, policies included, as readable Python.
"""

import ast
import importlib
import inspect
from collections import defaultdict

ENTRY = "eenas.programs.runtime"

_HEADER = '''"""Runs the exported model in this folder. Needs numpy and onnxruntime, but not eenas.

Reading image files also needs Pillow.

    import runtime
    model = runtime.load(".")               # the folder with eenas.json
    images = model.preprocess("photo.png")  # uint8 [N, C, H, W], resized as in training; paths, arrays, lists of them
    answer = model.predict(images)          # answer.classes, answer.exits, answer.confidences
    model.set_budget(macs=0.5)              # an operating point of the manifest

eenas assembled this file from its own sources; each is named above its part. Needs Python 3.11 or newer.
"""
'''


def runtime_source() -> str:
    """Return the text of a module that contains ENTRY and everything it needs, without imports of eenas."""
    modules: dict[str, list[ast.Import | ast.ImportFrom]] = {}
    _collect(ENTRY, modules)
    parts = [_HEADER, *_imports([line for lines in modules.values() for line in lines])]
    seen: dict[str, str] = {}
    for name in modules:
        for defined in _defined(ast.parse(_text(name))):
            assert defined not in seen, f"{defined} is defined in {seen[defined]} and in {name}"
            seen[defined] = name
        parts += ["", "", f"# {'-' * 10} {name}", "", _body(name)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _collect(name: str, modules: dict[str, list[ast.Import | ast.ImportFrom]]) -> None:
    """Add the imports of a module and of all eenas modules that it imports, dependencies first."""
    imports = [line for line in ast.parse(_text(name)).body if isinstance(line, ast.Import | ast.ImportFrom)]
    for line in imports:
        if isinstance(line, ast.ImportFrom) and _own(line):
            assert not any(alias.asname for alias in line.names), f"{name}: an import with `as` cannot be joined"
            if str(line.module) not in modules:
                _collect(str(line.module), modules)
    modules[name] = list(imports)


def _imports(lines: list[ast.Import | ast.ImportFrom]) -> list[str]:
    """Return the imports from outside eenas, each module once. `from __future__` comes first."""
    plain = {ast.unparse(line) for line in lines if isinstance(line, ast.Import)}
    names: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if isinstance(line, ast.ImportFrom) and not _own(line):
            names[str(line.module)] |= {alias.name for alias in line.names}
    future = sorted(names.pop("__future__", ()))
    taken = [f"from {module} import {', '.join(sorted(found))}" for module, found in sorted(names.items())]
    return [f"from __future__ import {', '.join(future)}", "", *sorted(plain), *taken]


def _own(line: ast.stmt) -> bool:
    return isinstance(line, ast.ImportFrom) and str(line.module).split(".")[0] == "eenas"


def _text(name: str) -> str:
    return inspect.getsource(importlib.import_module(name))


def _body(name: str) -> str:
    """Return the text of a module without its imports. Its docstring becomes a comment."""
    text = _text(name)
    tree = ast.parse(text)
    lines = text.splitlines()
    for line in tree.body:
        if isinstance(line, ast.Import | ast.ImportFrom):
            lines[line.lineno - 1 : line.end_lineno] = [""] * (int(line.end_lineno or 0) - line.lineno + 1)
    end = int(tree.body[0].end_lineno or 0)
    comment = [f"# {line}".rstrip() for line in str(ast.get_docstring(tree)).splitlines()]
    return "\n".join(comment) + "\n\n\n" + "\n".join(lines[end:]).strip("\n")


def _defined(tree: ast.Module) -> list[str]:
    """Return the names that a module defines at its top level."""
    names = []
    for line in tree.body:
        if isinstance(line, ast.ClassDef | ast.FunctionDef):
            names.append(line.name)
        elif isinstance(line, ast.Assign | ast.AnnAssign):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            for target in targets:
                names += [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
    return names
