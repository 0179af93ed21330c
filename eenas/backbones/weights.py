"""Weights read from a file without running its code, and loaded with errors that name the keys."""

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eenas.errors import WeightsError, nearest

CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
SHOWN = 3  # keys that an error message names of each kind
PROBE_SECONDS = 5.0

_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$")  # as torchvision's published files have it
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of torchvision's googlenet and inception_v3, for training only

State = dict[str, Tensor]


def find_weights(text: str, relative_to: Path | None = None) -> Path:
    """The file that `text` names: below `relative_to` where it is there, else in the working folder.

    Raises WeightsError when there is no such file.
    """
    places = [Path(text).expanduser()]
    if relative_to is not None:
        places.insert(0, relative_to / places[0])
    for place in places:
        if place.is_file():
            return place
    hint = nearest(text, ("none", "pretrained")) if not any(mark in text for mark in "./\\") else "check the path"
    raise WeightsError(f"weights {text!r}: no such file; give none, pretrained or the path of a file; {hint}")


def read_weights(path: Path) -> State:
    """The tensors of a safetensors file (by its suffix) or of a torch file, read with `weights_only=True`.

    Containers such as `{"state_dict": ...}` are unwrapped. Raises WeightsError for a file that is broken, holds Python
    objects or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zip and pickle each raise their own kinds
        reason = _first_line(error)
        if "weights_only" in reason.lower() or "weights only" in reason.lower():
            reason = "it is neither, or holds Python objects, whose code eenas never runs; save model.state_dict()"
        raise WeightsError(f"weights {path}: cannot be read as safetensors or as a torch file: {reason}") from None
    return _unwrap(content, path)


def load_weights(module: nn.Module, state: Mapping[str, Tensor], *, classifier: Collection[str], source: str) -> bool:
    """Load `state` into `module`; whether all of it, the classifier included, came from there.

    `classifier` holds the full names of the modules that give the logits. Their tensors may be for another number of
    classes, or missing altogether: they then keep the values they have, and False is returned. Any other key that is
    missing, unexpected or of another shape raises WeightsError naming a few of each; `source` says where they stand.
    """
    own = module.state_dict()
    given = _fitting(module, dict(state), own)
    head = {key for key in own if any(key.startswith(f"{name}.") for name in classifier)}
    fresh = _other_classes(own, given, head)
    missing = [key for key in own if key not in given and key not in fresh and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in given if key not in own]
    mismatched = [key for key in own if key in given and key not in fresh and own[key].shape != given[key].shape]
    if broken := [key for key, value in given.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise WeightsError(f"weights {source} hold NaN or infinity ({_some(broken)}); give a file that holds numbers")
    if missing or unexpected or mismatched:
        shapes = [f"{key} {list(given[key].shape)} for {list(own[key].shape)}" for key in mismatched]
        kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        problems = "; ".join(f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in kinds if keys)
        raise WeightsError(f"weights {source} do not fit: {problems}; give a file of this model")
    module.load_state_dict({key: given[key] for key in given if key not in fresh}, strict=False)
    return not fresh


def check_reachable(url: str, what: str) -> None:
    """Raise WeightsError, within about five seconds, where the host of `url` cannot be reached; `what` lies there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # the host answers; whether the file is there is for the download to say
    except (OSError, ValueError) as error:
        raise unreachable(what, url, error) from None


def unreachable(what: str, url: str, error: BaseException) -> WeightsError:
    """The error for published weights that could not be fetched from `url`."""
    reason = getattr(error, "reason", None) or error
    text = _first_line(reason) if isinstance(reason, BaseException) else str(reason)
    return WeightsError(
        f"{what}: the pretrained weights at {url} could not be reached ({text}); "
        "connect this machine, or pass --weights PATH with a downloaded file, or --weights none"
    )


def no_published_weights(what: str) -> WeightsError:
    """The error for a backbone that has no published weights."""
    return WeightsError(f"{what}: no published weights are known; pass --weights PATH or --weights none")


def _unwrap(content: Any, path: Path) -> State:
    """The state dict inside its containers, without the prefixes of wrappers."""
    for _ in range(len(CONTAINERS)):
        inner = next(
            (content[key] for key in CONTAINERS if isinstance(content, Mapping) and _holds(content, key)), None
        )
        if inner is None:
            break
        content = inner
    tensors = {str(key): value for key, value in content.items()} if isinstance(content, Mapping) else {}
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        other = next((key for key, value in tensors.items() if not isinstance(value, Tensor)), None)
        found = f"{other!r} is no tensor" if other is not None else f"it holds {_kind(content)}"
        raise WeightsError(f"weights {path}: not a state dict ({found}); save model.state_dict()")
    return tensors


def _holds(content: Mapping[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), Mapping)


def _kind(content: Any) -> str:
    return "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"


def _fitting(module: nn.Module, given: State, own: Mapping[str, Tensor]) -> State:
    """`given` under the module's own names: wrappers' prefixes, old spellings and timm's own conversions undone."""
    for _ in range(len(PREFIXES)):
        prefix = next((mark for mark in PREFIXES if all(key.startswith(mark) for key in given)), None)
        if prefix is None or any(key.startswith(prefix) for key in own):
            break
        given = {key[len(prefix) :]: value for key, value in given.items()}
    if set(given) == set(own) and all(given[key].shape == own[key].shape for key in own):
        return given
    given = {_DENSENET.sub(r"\1\2", key) if key not in own else key: value for key, value in given.items()}
    used = tuple(mark for mark in _AUXILIARY if not any(key.startswith(mark) for key in own))
    if type(module).__module__.startswith("torchvision."):
        given = {key: value for key, value in given.items() if not key.startswith(used)} if used else given
    return _converted_by_timm(module, given)


def _converted_by_timm(module: nn.Module, given: State) -> State:
    """What timm's own filter makes of a checkpoint, such as position embeddings resampled to another image size."""
    home = type(module).__module__
    convert = getattr(sys.modules.get(home), "checkpoint_filter_fn", None) if home.startswith("timm.") else None
    if convert is None:
        return given
    try:
        converted = convert(dict(given), module)
    except Exception:  # a filter for other checkpoints than this one: the keys are then judged as they are
        return given
    return dict(converted) if isinstance(converted, Mapping) else given


def _other_classes(own: Mapping[str, Tensor], given: Mapping[str, Tensor], head: set[str]) -> set[str]:
    """The classifier's keys when the weights bring none, or one whose tensors differ in the number of classes only."""
    there = [key for key in head if key in given]
    if not there:
        return head
    differs = [key for key in there if own[key].shape != given[key].shape]
    by_classes = all(own[key].shape[1:] == given[key].shape[1:] and own[key].ndim for key in differs)
    return head if differs and by_classes and len(there) == len(head) else set()


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
