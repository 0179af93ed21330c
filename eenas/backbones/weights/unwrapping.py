"""The state dict in a file of weights, found below the keys that training loops wrap around it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from eenas.errors import WeightsError
from eenas.progress import Listener, Notice

State = dict[str, Tensor]

AVERAGED = ("state_dict_ema", "model_ema_state_dict", "ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
PLAIN = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights")
"""The keys under which training loops store averaged weights and the model itself."""

AVERAGING = re.compile(r"(?<![a-z])(ema|swa)(?![a-z])|averag|shadow", re.IGNORECASE)
"""Matches the keys of dicts and lists that hold averaged weights."""

DEPTH = 4  # levels of nested containers that are searched
SHOWN = 3  # keys of each kind in a message

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""The endings of the common buffers' names."""

_EXTRA = "_extra_state"  # the ending of the keys that hold what `get_extra_state` returned


class Unwrapping:
    """Finds the state dict in a file's content."""

    def __init__(self, path: Path, foreign: tuple[str, ...], listener: Listener) -> None:
        self.path, self.foreign, self.listener = path, foreign, listener

    def state(self, content: Any) -> State:
        """Return the state dict inside its containers. Raises WeightsError if there is none, or more than one."""
        whole, where = content, self._of_callback(content)
        for key in where:
            content = content[key]
        for _ in range(DEPTH):
            inner = self._container(content)
            if inner is None:
                break
            content, where = content[inner], (*where, inner)
        if not _holds_tensors(content):
            raise WeightsError(
                f"weights {self.path}: no state dict found: {self._found(content)}; save model.state_dict()"
            )
        if (averaged := self._of_list(whole, content)) is not None:
            content = averaged
        others = [".".join(place) for place in _averaged_places(whole) if place[: len(where)] != where[: len(place)]]
        if others and averaged is None:
            taken = ".".join(where) or "its top-level tensors"
            self._notify(
                f"loaded {taken}, not the averaged weights in {first_few(others)}; "
                "to load those, save them alone as a state dict"
            )
        kept = [str(key) for key, value in content.items() if str(key).endswith(_EXTRA) and value is not None]
        if kept:
            self._notify(f"left out the extra state of modules ({first_few(kept)}); they start with their own")
        return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}

    def _of_callback(self, content: Any) -> tuple[str, ...]:
        """Return the keys of the weights in Lightning's averaging callback; () unless there is exactly one."""
        if not isinstance(content, Mapping):
            return ()
        found = [place for place in _averaged_places(content.get("callbacks"), ("callbacks",)) if len(place) <= DEPTH]
        named = [place for place in found if _leads_to_tensors(_at(content, place))]
        if len(named) != 1:
            return ()
        if beside := [key for key in PLAIN if _leads_to_tensors(content.get(key))]:
            self._notify_averaged(".".join(named[0]), beside[0])
        return named[0]

    def _of_list(self, whole: Any, content: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
        """Return the state dict with the averaged parameters of the file's only list of them.

        The list must have as many tensors as the state dict has parameters, in their order and of their shapes;
        otherwise None.
        """
        found = [place for place in _averaged_places(whole) if isinstance(_at(whole, place), list | tuple)]
        names = [key for key, value in content.items() if isinstance(value, Tensor) and not str(key).endswith(BUFFERS)]
        if len(found) != 1 or len(_averaged_places(whole)) != 1:
            return None
        values = _at(whole, found[0])
        alike = len(values) == len(names) and all(
            isinstance(value, Tensor) and value.shape == content[name].shape
            for name, value in zip(names, values, strict=True)
        )
        if not alike:
            return None
        self._notify_averaged(".".join(found[0]), "the state dict")
        return {**content, **dict(zip(names, values, strict=True))}

    def _container(self, content: Any) -> str | None:
        """Return the key of the model in a dict, or None. Averaged weights come first, with a notice."""
        if not isinstance(content, Mapping):
            return None
        inside = [key for key, value in content.items() if isinstance(key, str) and _leads_to_tensors(value)]
        averaged = [key for key in AVERAGED if key in inside]
        beside = [key for key in PLAIN if key in inside]
        if averaged:
            if beside:
                self._notify_averaged(averaged[0], beside[0])
            return averaged[0]
        if beside:
            return beside[0]
        models = [key for key in inside if not _is_optimizer(content[key])]
        if not models or sum(isinstance(value, Tensor) for value in content.values()) > 1:
            return None
        if len(models) > 1:
            raise WeightsError(
                f"weights {self.path}: holds {len(models)} state dicts ({first_few(models)}); save one of them alone"
            )
        return models[0]

    def _notify_averaged(self, taken: str, left: str) -> None:
        self._notify(f"loaded the averaged weights in {taken}, not {left}; to load {left}, save it alone")

    def _notify(self, text: str) -> None:
        self.listener(Notice(f"weights {self.path}: {text}"))

    def _found(self, content: Any) -> str:
        """Describe content that is not a state dict."""
        if self.foreign:
            return f"it holds Python objects ({first_few(list(self.foreign))}), whose code eenas never runs"
        if isinstance(content, Mapping):
            return (
                f"it holds {first_few([str(key) for key in content])}, and no tensors"
                if content
                else "it holds nothing"
            )
        return f"it holds a {type(content).__name__}"


def _holds_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and any(isinstance(value, Tensor) for value in content.values())


def _leads_to_tensors(content: Any, depth: int = DEPTH) -> bool:
    if depth == 0 or not isinstance(content, Mapping):
        return False
    return _holds_tensors(content) or any(_leads_to_tensors(value, depth - 1) for value in content.values())


def _averaged_places(content: Any, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of averaged weights: state dicts or lists of tensors below a key that `AVERAGING` matches."""
    if not isinstance(content, Mapping) or len(where) >= DEPTH:
        return []
    found: list[tuple[str, ...]] = []
    for key, value in content.items():
        if not isinstance(key, str):
            continue
        place = (*where, key)
        averaged = any(AVERAGING.search(name) for name in place)
        inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        if averaged and sum(isinstance(each, Tensor) and each.ndim > 0 for each in inside) > 1:
            found.append(place)
        else:
            found += _averaged_places(value, place)
    return found


def _at(content: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        content = content[key]
    return content


def _is_optimizer(content: Mapping[Any, Any]) -> bool:
    return "param_groups" in content or any(isinstance(key, int) for key in content)


def first_few(keys: list[str]) -> str:
    """Return the first few keys and the number of the others, for a message."""
    shown = ", ".join(printable(key) for key in keys[:SHOWN])
    return shown + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def printable(text: str) -> str:
    """Return text from a file, shortened, with unprintable characters replaced."""
    return "".join(mark if mark.isprintable() else "?" for mark in text[:200])
