"""The classifier of a backbone: found by running it, replaced where the number of classes differs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.outputs import main_output
from eenas.errors import BackboneError, CutError

_Layer = nn.Linear | nn.Conv1d | nn.Conv2d


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside the block; every submodule's own mode is put back after it."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def count_classes(module: nn.Module, example: Tensor, what: str) -> int:
    """The number of logits that `module` gives for the batch `example` [n, ...], run once in eval mode.

    Raises BackboneError when the module cannot take this input or does not give logits [n, classes]; `what` names it.
    """
    shape = list(example.shape)
    try:
        with evaluating(module):
            logits = main_output(module(example))
    except CutError as error:
        raise BackboneError(f"{what}: {error}") from None
    except Exception as error:  # whatever a module raises for an input that it cannot take
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise BackboneError(
            f"{what}: does not run on an input of shape {shape} ({type(error).__name__}: {reason}); "
            "choose another input size, for example --set task.input_size=224, or another backbone"
        ) from error
    if logits.ndim != 2 or logits.shape[0] != shape[0]:
        raise BackboneError(f"{what}: must return logits [{shape[0]}, classes], got {list(logits.shape)}")
    return int(logits.shape[1])


def find_classifier(module: nn.Module, example: Tensor) -> tuple[str, ...]:
    """The name of the Linear or Conv that gives the logits, or else of the last one to run; () where there is none.

    It gives as many outputs as there are logits, and runs once. For timm models the names that their configuration
    states, which may be two for distilled ones.
    """
    stated = _stated_by_timm(module)
    if stated:
        return stated
    names: dict[nn.Module, str] = {
        part: name for name, part in module.named_modules() if isinstance(part, _Layer) and name
    }
    called: list[str] = []
    given: list[Tensor] = []  # kept, so that no later tensor lies in their memory

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
    last = (own or called)[-1] if called else None  # an embedding may be computed after the logits
    if last is None or called.count(last) > 1 or _outputs(module.get_submodule(last)) != classes:
        return ()
    return (last,)


def replace_classifier(module: nn.Module, num_classes: int, example: Tensor, what: str) -> None:
    """Give `module`, in place, a fresh classifier of `num_classes` outputs.

    timm models do it themselves; elsewhere the last Linear or Conv is replaced by one with the default initialisation.
    Raises BackboneError where there is no such layer.
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
                f"{what}: its classifier cannot be replaced for {num_classes} classes, because it does not end in one "
                "Linear or Conv; build it with the right number of classes"
            )
        owner, _, attribute = found[0].rpartition(".")
        parent = module.get_submodule(owner)
        setattr(parent, attribute, _renewed(module.get_submodule(found[0]), num_classes))
    if (got := count_classes(module, example, what)) != num_classes:
        raise BackboneError(f"{what}: gives {got} logits after its classifier was made for {num_classes} classes")


def _stated_by_timm(module: nn.Module) -> tuple[str, ...]:
    """The classifier's names in timm's configuration, as far as such modules are there and classify."""
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
    """A layer like `old` with another number of outputs, on its device and in its type and mode."""
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
        kind = nn.Conv1d if isinstance(old, nn.Conv1d) else nn.Conv2d  # a parametrised layer is of a class of its own
        new = kind(old.in_channels, num_classes, old.kernel_size, **sizes, **place)  # type: ignore[arg-type]
    else:
        raise TypeError(f"no classifier: {type(old).__name__}")
    return new.train(old.training)
