"""The extra state of modules (`get_extra_state`): plain values, written as JSON text into files of tensors."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from eenas.bounds import parse_json
from eenas.errors import BackboneError, SpecError

_LEAVES = (type(None), bool, int, float, str)


def check_extra_state(module: nn.Module, label: str) -> None:
    """Raise BackboneError if the extra state of `module` cannot be written to a checkpoint."""
    _, extra = split_state(module.state_dict())
    for key, value in extra.items():
        try:
            from_text(to_text({key: value}))
        except (TypeError, SpecError) as error:
            raise BackboneError(
                f"{label}: {key!r} holds {error}; get_extra_state must return None, numbers, strings, or lists, tuples "
                "and dicts of these; register tensors as buffers"
            ) from None


def split_state(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split a state dict into its tensors and its other values."""
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    return tensors, {key: value for key, value in state.items() if key not in tensors}


def to_text(extra: Mapping[str, Any]) -> str:
    """Return extra state as JSON text. Raises TypeError for values that `check_extra_state` refuses."""
    return json.dumps(_tagged(dict(extra)))


def from_text(text: str) -> dict[str, Any]:
    """Return the values that `to_text` wrote. Raises SpecError for any other text."""
    try:
        return dict(_read(parse_json(text, finite=False)))
    except (TypeError, ValueError) as error:
        raise SpecError(f"not the extra state of a module ({error})") from None


def _tagged(value: Any) -> Any:
    """Return `value` with tuples and dicts as tagged lists: JSON has neither tuples nor keys other than strings."""
    if type(value) in _LEAVES:
        return value
    if type(value) is list:
        return [_tagged(each) for each in value]
    if type(value) is tuple:
        return {"tuple": [_tagged(each) for each in value]}
    if type(value) in (dict, OrderedDict):
        return {"dict": [[_tagged(key), _tagged(each)] for key, each in value.items()]}
    raise TypeError(f"a {type(value).__name__}")


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(each) for each in value]
    if isinstance(value, dict):
        ((kind, inside),) = value.items()
        if kind == "tuple":
            return tuple(_read(each) for each in inside)
        if kind == "dict":
            return {_read(key): _read(each) for key, each in inside}
        raise ValueError(f"unknown kind {kind!r:.60}")
    return value
