"""The state dict in what a file of weights holds, found below the keys that training loops put around it."""

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
"""The keys under which training loops keep a model, averaged over its steps and as it stands."""

AVERAGING = re.compile(r"(?<![a-z])(ema|swa)(?![a-z])|averag|shadow", re.IGNORECASE)
"""In the name of a table, or of a list, that it holds averaged weights."""

DEPTH = 4  # containers within containers
SHOWN = 3  # keys that a message names of each kind


class Unwrapping:
    """Finds the state dict in what a file holds."""

    def __init__(self, path: Path, foreign: tuple[str, ...], listener: Listener) -> None:
        self.path, self.foreign, self.listener = path, foreign, listener

    def state(self, content: Any) -> State:
        """The state dict inside its containers. Raises WeightsError when there is none, or more than one."""
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
                f"weights {self.path}: not a state dict: {self._found(content)}; save model.state_dict()"
            )
        others = [".".join(place) for place in _averaged_places(whole) if place[: len(where)] != where[: len(place)]]
        if others:
            taken = ".".join(where) or "what stands at its top"
            self._say(
                f"took {taken}, not the averaged weights in {some(others)}; "
                "save those alone, with their names, to have them"
            )
        return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}

    def _of_callback(self, content: Any) -> tuple[str, ...]:
        """Where the one callback of Lightning's that averages keeps the weights, or nothing."""
        if not isinstance(content, Mapping):
            return ()
        found = [place for place in _averaged_places(content.get("callbacks"), ("callbacks",)) if len(place) <= DEPTH]
        named = [place for place in found if _leads_to_tensors(_at(content, place))]
        if len(named) != 1:
            return ()
        if beside := [key for key in PLAIN if _leads_to_tensors(content.get(key))]:
            self._say_averaged(".".join(named[0]), beside[0])
        return named[0]

    def _container(self, content: Any) -> str | None:
        """The key under which the model stands in a table; averaged weights come first, and are said."""
        if not isinstance(content, Mapping):
            return None
        inside = [key for key, value in content.items() if isinstance(key, str) and _leads_to_tensors(value)]
        averaged = [key for key in AVERAGED if key in inside]
        beside = [key for key in PLAIN if key in inside]
        if averaged:
            if beside:
                self._say_averaged(averaged[0], beside[0])
            return averaged[0]
        if beside:
            return beside[0]
        models = [key for key in inside if not _is_optimizer(content[key])]
        if not models or sum(isinstance(value, Tensor) for value in content.values()) > 1:
            return None
        if len(models) > 1:
            raise WeightsError(
                f"weights {self.path}: holds {len(models)} state dicts ({some(models)}); save the one you want alone"
            )
        return models[0]

    def _say_averaged(self, taken: str, left: str) -> None:
        self._say(
            f"took {taken}, the weights averaged over training, not {left}; save the one you want alone to choose"
        )

    def _say(self, words: str) -> None:
        self.listener(Notice(f"weights {self.path}: {words}"))

    def _found(self, content: Any) -> str:
        """What stands where a model should, in words."""
        if self.foreign:
            return f"it holds Python objects ({some(list(self.foreign))}), whose code eenas never runs"
        if isinstance(content, Mapping):
            return f"it holds {some([str(key) for key in content])}, and no tensors" if content else "it holds nothing"
        return f"it holds a {type(content).__name__}"


def _holds_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and any(isinstance(value, Tensor) for value in content.values())


def _leads_to_tensors(content: Any, depth: int = DEPTH) -> bool:
    if depth == 0 or not isinstance(content, Mapping):
        return False
    return _holds_tensors(content) or any(_leads_to_tensors(value, depth - 1) for value in content.values())


def _averaged_places(content: Any, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The keys that lead to averaged weights: to a state dict, or to a list of tensors, each below such a name."""
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


def some(keys: list[str]) -> str:
    """The first few of the keys, for a message."""
    shown = ", ".join(plain(key) for key in keys[:SHOWN])
    return shown + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def plain(text: str) -> str:
    """A text of the file's in one line."""
    return "".join(mark if mark.isprintable() else "?" for mark in text[:200])
