"""The classifier of a backbone: found by running it, replaced if the number of classes differs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.outputs import main_output
from eenas.errors import BackboneError, CutError, plural

_Layer = nn.Linear | nn.Conv1d | nn.Conv2d
_FIX = "choose another input size, for example --set task.input_size=224"
_FIX_OF_TEXTS = "check its configuration, with which it must take ids alone"
_FIX_OF_SERIES = "give series of as many channels as it takes and long enough for it"
_FIXES = {2: _FIX_OF_TEXTS, 3: _FIX_OF_SERIES}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Context manager for eval mode without gradients. Restores each submodule's own mode on exit."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def count_classes(module: nn.Module, example: Tensor, label: str) -> int:
    """Return the number of logits that `module` gives for `example` [n, ...] in eval mode.

    `label` names the module in messages. Raises BackboneError if the module does not run on this input or does not
    return logits [n, classes].
    """
    shape = list(example.shape)
    try:
        with evaluating(module):
            logits = main_output(module(example))
    except CutError as error:
        raise BackboneError(f"{label}: {error}") from None
    except Exception as error:  # a user's module may raise anything
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise BackboneError(
            f"{label}: does not run on an input of shape {shape} ({type(error).__name__}: {reason}); "
            f"{_FIXES.get(example.ndim, _FIX)}, or another backbone"
        ) from error
    if logits.ndim != 2 or logits.shape[0] != shape[0]:
        raise BackboneError(f"{label}: must return logits [{shape[0]}, classes], got {list(logits.shape)}")
    return int(logits.shape[1])


def find_classifier(module: nn.Module, example: Tensor) -> tuple[str, ...]:
    """Return the name of the Linear or Conv whose output is the logits, else of the last one that runs.

    Such a layer runs once and has as many outputs as there are logits; () if there is none. For timm models the names
    come from the model's configuration (two for some distilled models).
    """
    stated = _stated_by_timm(module)
    if stated:
        return stated
    names: dict[nn.Module, str] = {
        part: name for name, part in module.named_modules() if isinstance(part, _Layer) and name
    }
    called: list[str] = []
    given: list[Tensor] = []  # kept alive, or a later tensor could reuse their memory

    def remember(part: nn.Module, inputs: Any, output: Any) -> None:
        called.append(names[part])
        given.append(output)

    hooks = [part.register_forward_hook(remember) for part in names]
    try:
        with evaluating(module):
            logits = main_output(module(example))
    finally:
        for hook in hooks:
            hook.remove()
    classes, memory = logits.shape[1], logits.untyped_storage().data_ptr()
    own = [name for name, output in zip(called, given, strict=True) if output.untyped_storage().data_ptr() == memory]
    last = (own or called)[-1] if called else None  # other layers may run after the logits
    if last is None or called.count(last) > 1 or _outputs(module.get_submodule(last)) != classes:
        return ()
    return (last,)


def replace_classifier(module: nn.Module, num_classes: int, example: Tensor, label: str) -> None:
    """Replace the classifier of `module`, in place, by an untrained one with `num_classes` outputs.

    timm models use `reset_classifier`. In other models the last Linear or Conv is replaced by one with the default
    initialisation. Raises BackboneError if there is no such layer.
    """
    renew = getattr(module, "reset_classifier", None) if _stated_by_timm(module) else None
    if renew is not None:
        place = next(module.parameters())
        renew(num_classes)
        module.to(device=place.device, dtype=place.dtype)
    else:
        found = find_classifier(module, example)
        if not found:
            raise BackboneError(
                f"{label}: its classifier cannot be replaced for {plural(num_classes, 'class', 'classes')}, because "
                "the logits do not come "
                "from one Linear or Conv; build the module with the right number of classes"
            )
        owner, _, attribute = found[0].rpartition(".")
        parent = module.get_submodule(owner)
        setattr(parent, attribute, _renewed(module.get_submodule(found[0]), num_classes))
    if (got := count_classes(module, example, label)) != num_classes:
        raise BackboneError(
            f"{label}: gives {got} logits after its classifier was replaced for "
            f"{plural(num_classes, 'class', 'classes')}; "
            "build the module with the right number of classes"
        )


def _stated_by_timm(module: nn.Module) -> tuple[str, ...]:
    """Return the classifier's names in timm's configuration that are Linear or Conv layers of the module."""
    if not type(module).__module__.startswith("timm."):
        return ()
    config = getattr(module, "pretrained_cfg", None)
    stated = config.get("classifier") if config else None
    names = (stated,) if isinstance(stated, str) else tuple(stated or ())
    modules = dict(module.named_modules())
    return tuple(name for name in names if isinstance(modules.get(name), _Layer))


def _outputs(layer: nn.Module) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else int(getattr(layer, "out_channels", 0))


def _renewed(old: nn.Module, num_classes: int) -> nn.Module:
    """Return a new layer like `old` with `num_classes` outputs, on the same device, with the same dtype and mode."""
    place: dict[str, Any] = {"device": old.weight.device, "dtype": old.weight.dtype, "bias": old.bias is not None}
    new: nn.Module
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, num_classes, **place)
    elif isinstance(old, nn.Conv1d | nn.Conv2d):
        sizes: dict[str, Any] = {
            "stride": old.stride,
            "padding": old.padding,
            "dilation": old.dilation,
            "padding_mode": old.padding_mode,
        }
        kind = nn.Conv1d if isinstance(old, nn.Conv1d) else nn.Conv2d  # type(old) may be a parametrised subclass
        new = kind(old.in_channels, num_classes, old.kernel_size, **sizes, **place)  # type: ignore[arg-type]
    else:
        raise TypeError(f"a classifier is a Linear, Conv1d or Conv2d, got a {type(old).__name__}")
    return new.train(old.training)
