"""The logits in a network's output: the output itself, or a tensor in a tuple, a dict or an object."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.errors import BackboneError, CutError
from eenas.faults import raise_shortage
from eenas.progress import Listener, Notice
from eenas.seeding import seeded

NAMES = ("logits", "prediction", "predictions", "out", "output", "probabilities", "probs")
"""The dict keys and attribute names that are searched for logits first, in this order."""

_MODES = ("evaluation", "training")

_DEPTH = 4
"""Levels of nested containers that are searched."""

_Path = tuple[Any, ...]
"""Keys, indices and attribute names that lead to a tensor."""


def main_output(output: Any) -> Tensor:
    """Return the logits in the output of a network that may return other values beside them.

    In a dict or an object, the entry with a name in NAMES; else in a dict, tuple or list the first float tensor.
    `with_one_output` handles networks with their logits elsewhere. Raises CutError if there is none.
    """
    found = _find(output)
    if found is None:
        raise CutError(
            "a backbone must return a tensor of logits, or a tuple, dict or object that holds one (first, or named "
            f"'logits'), got a {type(output).__name__} without any; wrap the module"
        )
    return found


@torch.no_grad()
def with_one_output(module: nn.Module, example: Tensor, num_classes: int, label: str, notify: Listener) -> nn.Module:
    """Return a module that returns its logits alone: `module` itself if `main_output` finds them in its output.

    Otherwise a shallow copy with the same parameters and a hook is returned. Among the tensors in the output for
    `example` [N, ...], the logits are the one with a name in NAMES, else the one [N, num_classes], else the only one
    with two dimensions. If that entry is missing in training mode, the same rule is applied there, and the first of
    several tensors is taken. `label` names the module in messages. Raises BackboneError with the tensors listed if
    several or none qualify in eval mode. A module that does not run is returned unchanged; other checks report it.
    """
    paths: list[_Path | None] = []
    for training in (False, True):
        output = _output_of(module, example, training=training)
        if output is None or isinstance(output, Tensor):
            paths.append(None)
            continue
        parts = [part for part in _parts(output) if part.tensor.ndim == 2 and len(part.tensor) == len(example)]
        if not parts:
            paths.append(None)
            continue
        if training and paths[0] is not None and (same := _at(output, paths[0])) is not None:
            chosen = replace(parts[0], path=paths[0], tensor=same)
        else:
            chosen = _chosen(parts, num_classes, label, training=training)
        paths.append(None if chosen.tensor is _find(output) else chosen.path)
    if paths == [None, None]:
        return module
    modes = [f"{_path_text(path)} in {mode}" for path, mode in zip(paths, _MODES, strict=True) if path is not None]
    said = " and ".join(modes) if paths[0] != paths[1] else _path_text(paths[0] or ())
    notify(Notice(f"{label}: returns several values; {said} is used as its logits"))
    hooked = copy.copy(module)  # shares submodules and parameters; only its hooks differ
    hooked._forward_hooks = OrderedDict(module._forward_hooks)
    hooked.register_forward_hook(_OnlyLogits(paths[0], paths[1]))
    return hooked


@dataclass(frozen=True, eq=False)
class _Part:
    path: _Path
    tensor: Tensor


@dataclass(frozen=True)
class _OnlyLogits:
    """A forward hook that returns the logits alone, by their path in each mode. None leaves it to `main_output`."""

    evaluation: _Path | None
    training: _Path | None

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Tensor:
        """Return the logits and drop all other outputs, which nothing reads."""
        path = self.training if module.training else self.evaluation
        found = None if path is None else _at(output, path)
        return main_output(output) if found is None else found


def _output_of(module: nn.Module, example: Tensor, *, training: bool) -> Any:
    """Return the output of a copy of `module` in that mode, or None if it does not run."""
    try:
        with seeded(0):
            copied = copy_of(module)
            copied.train(training)
            return copied(example.clone())
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return None


def _chosen(parts: list[_Part], num_classes: int, label: str, *, training: bool) -> _Part:
    """Return the logits among tensors of two dimensions; `with_one_output` gives the rule."""
    fitting = _without_probabilities([part for part in parts if part.tensor.shape[1] == num_classes])
    named = {name: [part for part in parts if part.path[-1:] == (name,)] for name in NAMES}
    if len(named[NAMES[0]]) == 1:
        return named[NAMES[0]][0]
    ranked = [each for each in ([part for part in some if part in fitting] for some in named.values()) if each]
    others = [part for some in named.values() for part in some]
    for options in (*ranked[:1], others, fitting, *([] if fitting else [parts])):
        if len(options) == 1 and (options[0] in fitting or not fitting):
            return options[0]
        if options:
            break
    if training:
        return (fitting or parts)[0]
    listed = ", ".join(f"{_path_text(part.path)} {list(part.tensor.shape)}" for part in parts[:8])
    raise BackboneError(
        f"{label}: {'several' if fitting else 'none'} of the tensors that it returns can be the logits "
        f"[{len(parts[0].tensor)}, {num_classes}]: {listed}; return the logits alone, or in a dict as 'logits'"
    )


def _without_probabilities(parts: list[_Part]) -> list[_Part]:
    """Leave out tensors that are the softmax or log-softmax of another one."""

    def derived(part: _Part, other: _Part) -> bool:
        softmax = other.tensor.float().softmax(1)
        return any(torch.allclose(part.tensor.float(), each, atol=1e-5) for each in (softmax, softmax.log()))

    same = {id(part.tensor): part for part in reversed(parts)}  # a tensor under two paths counts once
    kept = [part for part in parts if same[id(part.tensor)] is part]
    raw = [part for part in kept if not any(derived(part, other) for other in kept if other is not part)]
    return raw or kept


def _parts(output: Any, path: _Path = ()) -> Iterator[_Part]:
    """Yield every float tensor in an output, in order."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield _Part(path, output)
    elif len(path) < _DEPTH:
        for key, value in _inside(output):
            yield from _parts(value, (*path, key))


def _inside(output: Any) -> list[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        return list(output.items())
    if isinstance(output, list | tuple):
        return list(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    return [(name, value) for name, value in getattr(output, "__dict__", {}).items() if not name.startswith("_")]


def _at(output: Any, path: _Path) -> Tensor | None:
    """Return the float tensor at a path, or None if there is none."""
    for key in path:
        inside = dict(_inside(output))
        if key not in inside:
            return None
        output = inside[key]
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def _path_text(path: _Path) -> str:
    return "".join(f"[{key!r:.60}]" for key in path)


def _find(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    for name in NAMES:
        named = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(named, Tensor):
            return named
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, list | tuple) else ()
    return next((found for part in parts if (found := _find(part)) is not None), None)
