"""timm backbones: built for the task's classes and image size, with published weights on request."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from eenas.backbones.transforms.image_transform import InputTransform, default_transform, with_statistics
from eenas.backbones.weights.weights import check_reachable, no_published_weights, unreachable
from eenas.errors import BackboneError
from eenas.tasks.images.frame import Size, canonical_size, size_text


def build_timm(
    name: str, num_classes: int, input_size: Size | None, *, pretrained: bool, wanted_channels: int | None = None
) -> tuple[nn.Module, InputTransform]:
    """Return the model with `num_classes` outputs, and a transform with the mean and std of its configuration.

    Models with a fixed image size (transformers with position embeddings or windows) are built for `input_size`, all
    models for `wanted_channels` (None: their own). Raises BackboneError if timm cannot build the model, WeightsError if
    published weights do not exist or cannot be reached.
    """
    import timm

    config = timm.get_pretrained_cfg(name)
    channels, default_size = (
        (3, 224)
        if config is None
        else (
            config.input_size[0],
            canonical_size(tuple(config.input_size[1:])),
        )
    )
    size = input_size or default_size
    options: dict[str, Any] = {"num_classes": num_classes}
    if wanted_channels not in (None, channels):
        options["in_chans"] = wanted_channels
    if pretrained:
        overlay = _published(name, config)
        options |= {"pretrained": True} | ({"pretrained_cfg_overlay": overlay} if overlay else {})
    module = _create(name, options, size if size != default_size else None)
    transform = default_transform(size, channels)
    if config is not None and len(config.mean) == len(config.std) == channels:
        transform = InputTransform(size, channels, tuple(map(float, config.mean)), tuple(map(float, config.std)))
    return module, transform if wanted_channels is None else with_statistics(transform, wanted_channels)


def _create(name: str, options: dict[str, Any], size: Size | None) -> nn.Module:
    """Build the model for an image size; models without an `img_size` option are built without it."""
    import timm

    try:
        with _quiet():
            if size is None:
                return _as_module(timm.create_model(name, **options))
            try:
                return _as_module(timm.create_model(name, img_size=size, **options))
            except TypeError as error:
                if "img_size" not in str(error):
                    raise
                return _as_module(timm.create_model(name, **options))
    except Exception as error:  # timm uses assert, and its downloads may raise anything
        if options.get("pretrained") and isinstance(error, OSError):
            raise unreachable(name, _address(timm.get_pretrained_cfg(name)), error) from None
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        at = f" for images of {size_text(size)} px" if size is not None else ""
        raise BackboneError(
            f"{name}: timm cannot build it{at} ({type(error).__name__}: {reason}); "
            "choose another input size, for example --set task.input_size=224, or another backbone"
        ) from error


def _as_module(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"got a {type(model).__name__}")
    return model


def _published(name: str, config: Any) -> dict[str, Any]:
    """Return updates of timm's configuration: a cached file. Raises WeightsError if nothing is cached or reachable."""
    if config is None or not config.has_weights:
        raise no_published_weights(name)
    if config.file or not (config.hf_hub_id or config.url):
        return {}
    cached = _cached(config)
    if cached is not None:
        return {"file": cached}
    check_reachable(_address(config), name)
    return {}


def _cached(config: Any) -> str | None:
    """Return the cached file of an earlier download from the Hugging Face Hub, or None."""
    if not config.hf_hub_id or config.custom_load:
        return None
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = config.hf_hub_id.partition("@")
    names = [config.hf_hub_filename] if config.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
    for file in names:
        found = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(found, str):
            return found
    return None


def _address(config: Any) -> str:
    """Return the address of the published weights."""
    if config.hf_hub_id:
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/{config.hf_hub_id.partition('@')[0]}"
    return str(config.url)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of timm and the hub on stderr while a model is built; failures still raise."""
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
