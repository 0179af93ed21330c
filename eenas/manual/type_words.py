"""The type and the default of a key in words, as a TOML file has them."""

import dataclasses
import inspect
import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from eenas.specs import to_table

_PLAIN = {str: "text", bool: "true or false", int: "whole number", float: "number"}


def type_words(hint: Any) -> str:
    """Return the type that a hint stands for: "text", "list of numbers", '"sgd" or "adamw"'. None is left out."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(each) for each in arguments if each is not type(None)))
    if origin is Literal:
        return " or ".join(json.dumps(each) for each in arguments)
    if origin in (tuple, list):
        inner = type_words(arguments[0])
        return f"list of {inner}s" if inner.endswith("number") else f"list of {inner}"
    if inspect.isclass(origin or hint) and issubclass(origin or hint, Mapping):
        return "table"
    if inspect.isclass(hint) and (dataclasses.is_dataclass(hint) or hasattr(hint, "from_table")):
        return "table"
    return _PLAIN.get(hint, "any value")


def value_words(value: Any) -> str:
    """Return a value as TOML writes it. None, which TOML lacks, is "not set"."""
    if value is None:
        return "not set"
    plain = to_table(value)
    if isinstance(plain, Mapping):
        inner = ", ".join(f"{name} = {value_words(each)}" for name, each in plain.items())
        return f"{{ {inner} }}" if inner else "{ }"
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON allows it as it is, TOML does not
