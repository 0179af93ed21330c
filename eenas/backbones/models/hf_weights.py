"""The weights of networks of transformers: whether a folder holds any, and whether they belong to its network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from eenas.errors import WeightsError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""The files of weights in a folder, the second one if they are divided."""


def holds_weights(place: str, label: str) -> bool:
    """Whether there are weights; those of the hub are asked for later. Raises WeightsError for pickled ones alone."""
    folder = Path(place)
    if not folder.is_dir():
        return True
    if any((folder / name).is_file() for name in WEIGHTS):
        return True
    if pickled := sorted(folder.glob("pytorch_model*.bin")):
        raise WeightsError(
            f"{label}: {pickled[0].name} is a pickle, which can run code; save the model as safetensors "
            "(save_pretrained does)"
        )
    return False


def loaded_model(kind: Any, config: Any, place: str | None, options: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return a model in the first form of attention that it has, with the weights at a place or without any (None).

    The second value tells whether its classifier has weights, too. `kind` is a class of transformers such as AutoModel.
    Raises WeightsError for weights that lack a layer of the network, or have it in another shape.
    """
    for attention in ("sdpa", "eager"):
        try:
            if place is None:
                code = options["trust_remote_code"]
                return kind.from_config(config, attn_implementation=attention, trust_remote_code=code), False
            model, found = kind.from_pretrained(
                place,
                config=config,
                attn_implementation=attention,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                dtype=torch.float32,
                **options,
            )
            return model, _is_complete(model, found)
        except ValueError as error:
            if attention == "eager" or "attention" not in str(error):
                raise
    raise AssertionError


def _is_complete(model: Any, found: Mapping[str, Any]) -> bool:
    """Whether no weight is untrained after loading. Only classifiers and poolers may be.

    `found` is what transformers says of the loading: names that are missing, and tuples of mismatched ones.
    """
    lost = {*found.get("missing_keys", ()), *(each[0] for each in found.get("mismatched_keys", ()))}
    names = list(model.state_dict())
    inner = f"{model.base_model_prefix}."
    inside = [name for name in names if name.startswith(inner)] or names  # of an encoder all
    needed = [name for name in inside if "pooler" not in name]
    if absent := [name for name in needed if name in lost]:
        raise WeightsError(
            f"its weights are those of another network: {len(absent)} of {len(needed)} tensors are missing or have "
            f"another shape, first {absent[0]}; give the weights that belong to its config.json"
        )
    return not lost
