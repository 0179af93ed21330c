"""What the fields of a dataclass mean: the string literals under them, read from the source."""

import ast
import functools
import inspect
import textwrap


@functools.cache
def field_meanings(cls: type) -> dict[str, str]:
    """Return the text under each field of `cls` and of the classes that it inherits from, by name, in one line each.

    Fields without a literal, and all fields of a class whose source is not there, are left out.
    """
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__[:-1]):
        try:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, TypeError):
            continue
        if isinstance(node, ast.ClassDef):
            found |= _under_fields(node)
    return found


def _under_fields(node: ast.ClassDef) -> dict[str, str]:
    texts = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            texts[field.target.id] = " ".join(below.value.value.split())
    return texts
