"""torchvision backbones: built for the task's classes and image size, with published weights on request."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eenas.backbones.channels import replace_stem
from eenas.backbones.transforms.image_transform import InputTransform, default_transform, with_statistics
from eenas.backbones.weights.weights import check_reachable, no_published_weights, unreachable
from eenas.errors import BackboneError, WeightsError
from eenas.tasks.images.frame import Size, size_text


def build_torchvision(
    name: str, num_classes: int, input_size: Size | None, *, pretrained: bool, wanted_channels: int | None = None
) -> tuple[nn.Module, InputTransform]:
    """Return the model and the transform of its published weights; `name` has no prefix `torchvision:`.

    Pretrained models keep their original classes. The first convolution is replaced if `wanted_channels` (None: 3)
    differ. Raises BackboneError if torchvision cannot build the model for this size, WeightsError if published weights
    do not exist or cannot be reached.
    """
    import torchvision

    label = f"torchvision:{name}"
    weights = _default_weights(name)
    transform = _transform(weights, input_size)
    options: dict[str, Any] = {} if pretrained else {"num_classes": num_classes}
    if name.startswith("vit_"):
        options["image_size"] = transform.size
    elif name.startswith("maxvit_"):
        options["input_size"] = transform.shape[1:]
    elif name in (
        "googlenet",
        "inception_v3",
    ):  # their weights expect another normalisation, here used without weights too
        options["transform_input"] = wanted_channels in (None, 3)
        options |= {} if pretrained else {"aux_logits": False, "init_weights": True}
    if pretrained:
        if weights is None:
            raise no_published_weights(label)
        _fetch(weights, label)
        options |= {"weights": weights, "progress": False}
    try:
        module = torchvision.models.get_model(name, **options)
    except Exception as error:  # torchvision raises errors of many types
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        kept = " with pretrained weights" if pretrained else ""
        raise BackboneError(
            f"{label}: torchvision cannot build it for images of {size_text(transform.size)} px{kept} ({reason}); "
            "choose another input size, for example --set task.input_size=224, or another backbone"
        ) from error
    if not isinstance(module, nn.Module):
        raise BackboneError(f"{label}: torchvision returned a {type(module).__name__}; choose another backbone")
    if (
        getattr(module, "AuxLogits", None) is not None
    ):  # a head for training only; without it the model returns a tensor
        setattr(module, "aux_logits", False)  # noqa: B010
        setattr(module, "AuxLogits", None)  # noqa: B010
    if wanted_channels in (None, transform.channels):
        return module, transform
    assert wanted_channels is not None
    replace_stem(module, wanted_channels, torch.zeros(2, *transform.shape), label)
    return module, with_statistics(transform, wanted_channels)


def _default_weights(name: str) -> Any:
    """Return torchvision's default weights of a model, or None if it has none."""
    import torchvision

    known = list(torchvision.models.get_model_weights(name))
    return getattr(torchvision.models.get_model_weights(name), "DEFAULT", known[0]) if known else None


def _transform(weights: Any, input_size: Size | None) -> InputTransform:
    if weights is None:
        return default_transform(input_size or 224, 3)
    preset = weights.transforms()
    size = int(preset.crop_size[0])
    return InputTransform(input_size or size, 3, tuple(map(float, preset.mean)), tuple(map(float, preset.std)))


def _fetch(weights: Any, label: str) -> None:
    """Download the file into torch's cache, without its messages, after checking that the host answers."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not file.is_file():
        check_reachable(weights.url, label)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise unreachable(label, weights.url, error) from None
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise WeightsError(f"{label}: {file} is broken ({reason}); remove it and rerun the command") from None
