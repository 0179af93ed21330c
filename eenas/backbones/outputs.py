"""The logits of what a network returns: a tensor, or the tensor of logits in a tuple, a dict or an object."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.errors import BackboneError, CutError
from eenas.progress import Listener, Notice
from eenas.seeding import seeded

NAMES = ("logits", "prediction", "predictions", "out", "output", "probabilities", "probs")
"""The names, in a dict or of an attribute, under which logits are looked for first."""

_MODES = ("evaluation", "training")

_DEPTH = 4
"""So deep lie parts within parts."""


_Place = tuple[Any, ...]
"""Keys, indices and names of attributes that lead to a part."""


def main_output(output: Any) -> Tensor:
    """The logits of a network that may return other things beside them, in training, in evaluation or in both.

    Of a dict or an object, what is called as in NAMES; otherwise of a dict, tuple or list the first part that holds a
    tensor of floats (where that is another one, `with_one_output` has seen to it). Raises CutError where there is none.
    """
    found = _find(output)
    if found is None:
        raise CutError(
            "a backbone returns a tensor of logits, or a tuple, dict or object that holds one (first, or called "
            f"'logits'), got a {type(output).__name__} without any; wrap the module"
        )
    return found


@torch.no_grad()
def with_one_output(module: nn.Module, example: Tensor, num_classes: int, what: str, notify: Listener) -> nn.Module:
    """`module` where `main_output` reads the logits of what it returns; else one with its very parts that returns them.

    Of several tensors `[N, ...]` in what it returns for `example` [N, ...] the logits are the one that is called as in
    NAMES, else the one of `[N, num_classes]`, else the only one of two dimensions. In training, where that is not the
    same part, the first of `[N, num_classes]`. Raises BackboneError, naming the parts, where evaluation leaves several
    or none. A module that does not run is left for others to refuse.
    """
    places: list[_Place | None] = []
    for training in (False, True):
        output = _output_of(module, example, training=training)
        if output is None or isinstance(output, Tensor):
            places.append(None)
            continue
        parts = [part for part in _parts(output) if part.tensor.ndim == 2 and len(part.tensor) == len(example)]
        if not parts:
            places.append(None)
            continue
        if training and places[0] is not None and (same := _at(output, places[0])) is not None:
            chosen = replace(parts[0], place=places[0], tensor=same)
        else:
            chosen = _chosen(parts, num_classes, what, training=training)
        places.append(None if chosen.tensor is _find(output) else chosen.place)
    if places == [None, None]:
        return module
    modes = [f"{_written(place)} in {mode}" for place, mode in zip(places, _MODES, strict=True) if place is not None]
    said = " and ".join(modes) if places[0] != places[1] else _written(places[0] or ())
    notify(Notice(f"{what}: of the parts that it returns, {said} is taken as its logits"))
    shown = copy.copy(module)  # the same parts and parameters; only the hooks are its own
    shown._forward_hooks = OrderedDict(module._forward_hooks)
    shown.register_forward_hook(_OnlyLogits(places[0], places[1]))
    return shown


@dataclass(frozen=True, eq=False)
class _Part:
    place: _Place
    tensor: Tensor


@dataclass(frozen=True)
class _OnlyLogits:
    """A forward hook that gives the logits alone; a place of None is the one that `main_output` finds."""

    evaluation: _Place | None
    training: _Place | None

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Tensor:
        """The logits. What else a network returns is left out: nothing reads it."""
        place = self.training if module.training else self.evaluation
        found = None if place is None else _at(output, place)
        return main_output(output) if found is None else found


def _output_of(module: nn.Module, example: Tensor, *, training: bool) -> Any:
    """What a copy returns in that mode, or None where it does not run."""
    try:
        with seeded(0):
            copied = copy_of(module)
            copied.train(training)
            return copied(example.clone())
    except Exception:  # whatever a module raises for an input that it cannot take
        return None


def _chosen(parts: list[_Part], num_classes: int, what: str, *, training: bool) -> _Part:
    """The logits among tensors of two dimensions: see `with_one_output`."""
    fitting = _without_probabilities([part for part in parts if part.tensor.shape[1] == num_classes])
    named = {name: [part for part in parts if part.place[-1:] == (name,)] for name in NAMES}
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
    listed = ", ".join(f"{_written(part.place)} {list(part.tensor.shape)}" for part in parts[:8])
    raise BackboneError(
        f"{what}: {'several' if fitting else 'none'} of the parts that it returns can be the logits "
        f"[{len(parts[0].tensor)}, {num_classes}]: {listed}; return the logits alone, or in a dict as 'logits'"
    )


def _without_probabilities(parts: list[_Part]) -> list[_Part]:
    """Leave out what is the softmax, or its logarithm, of another part."""

    def derived(part: _Part, other: _Part) -> bool:
        softmax = other.tensor.float().softmax(1)
        return any(torch.allclose(part.tensor.float(), each, atol=1e-5) for each in (softmax, softmax.log()))

    same = {id(part.tensor): part for part in reversed(parts)}  # a tensor that stands in two places is one
    kept = [part for part in parts if same[id(part.tensor)] is part]
    raw = [part for part in kept if not any(derived(part, other) for other in kept if other is not part)]
    return raw or kept


def _parts(output: Any, place: _Place = ()) -> Iterator[_Part]:
    """Every tensor of floats in an output, in order."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield _Part(place, output)
    elif len(place) < _DEPTH:
        for key, value in _inside(output):
            yield from _parts(value, (*place, key))


def _inside(output: Any) -> list[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        return list(output.items())
    if isinstance(output, list | tuple):
        return list(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    return [(name, value) for name, value in getattr(output, "__dict__", {}).items() if not name.startswith("_")]


def _at(output: Any, place: _Place) -> Tensor | None:
    """The tensor in a place, or None where there is none."""
    for key in place:
        inside = dict(_inside(output))
        if key not in inside:
            return None
        output = inside[key]
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def _written(place: _Place) -> str:
    return "".join(f"[{key!r:.60}]" for key in place)


def _find(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    for name in NAMES:
        named = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(named, Tensor):
            return named
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, list | tuple) else ()
    return next((found for part in parts if (found := _find(part)) is not None), None)
