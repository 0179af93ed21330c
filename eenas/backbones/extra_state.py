"""What modules keep beside parameters and buffers (`get_extra_state`): plain values, in files of tensors as a text."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from eenas.bounds import parse_json
from eenas.errors import BackboneError, SpecError

_LEAVES = (type(None), bool, int, float, str)


def check_extra_state(module: nn.Module, what: str) -> None:
    """Raise BackboneError where a module keeps what no checkpoint holds, before anything is trained."""
    _, extra = parted(module.state_dict())
    for key, value in extra.items():
        try:
            from_text(to_text({key: value}))
        except (TypeError, SpecError) as error:
            raise BackboneError(
                f"{what}: {key!r} holds {error}; let get_extra_state give None, numbers, texts, lists, tuples and "
                "dicts of them, and register tensors as buffers"
            ) from None


def parted(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A state dict's tensors, and what else it holds."""
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    return tensors, {key: value for key, value in state.items() if key not in tensors}


def to_text(extra: Mapping[str, Any]) -> str:
    """Such values as a text. Raises TypeError for what `check_extra_state` refuses."""
    return json.dumps(_tagged(dict(extra)))


def from_text(text: str) -> dict[str, Any]:
    """The values that `to_text` wrote. Raises SpecError for another text."""
    try:
        return dict(_read(parse_json(text, finite=False)))
    except (TypeError, ValueError) as error:
        raise SpecError(f"no values of get_extra_state ({error})") from None


def _tagged(value: Any) -> Any:
    """JSON knows neither tuples nor keys that are no texts: they are written as lists under a name."""
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
