"""Fine-tuning of an expert on a mix of clean and distorted images, with the backbone frozen."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eenas.branches.abilities import auxiliary_loss_of
from eenas.errors import DivergedError, SpecError, TaskError
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.own_norms import estimate_norms
from eenas.seeding import derive, seeded
from eenas.tasks.recognition.distortion_mix import DistortionMix
from eenas.tasks.split import Split
from eenas.training.losses import AUXILIARY
from eenas.training.schedule import rate_at

_WARMUP = 0.05
_NORM_BATCH, _NORM_SAMPLES = 128, 4096
"""The images of each batch, and of all batches, that statistics of batch normalisation are estimated on."""


@dataclass(frozen=True, kw_only=True)
class ExpertTraining:
    """The training of each expert: Adam with a cosine schedule. Every exit has the same weight in the loss.

    Raises SpecError for values out of range.
    """

    samples: int = 50_000
    """Training images of each expert."""
    batch_size: int = 64
    """Images per step."""
    learning_rate: float = 3e-3
    """Highest learning rate, of all exits."""
    weight_decay: float = 5e-4
    """Weight decay, of all exits."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name, least in (("samples", 1), ("batch_size", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} of the training of experts must be a whole number from {least}, got {value!r}")
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
                raise SpecError(f"{name} of the training of experts must be in [0, 10], got {value!r}")


def train_expert(
    network: ExpertNetwork,
    number: int,
    split: Split,
    mix: DistortionMix | None,
    training: ExpertTraining,
    *,
    flip: bool = False,
    seed: int = 0,
) -> float:
    """Fine-tune the exits of one expert of `network`, in place, on `split`; return the last loss.

    Images are augmented as in the training of the backbone (`flip` allows mirror images), then distorted by `mix`; with
    None they stay clean. The backbone does not change, nor do statistics of batch normalisation; the parameters of the
    expert's own batch normalisation learn if they require gradients. The result depends on the seed only. Raises
    TaskError for a split that does not fill a batch, DivergedError for a loss that is not finite.
    """
    if len(split) < training.batch_size:
        raise TaskError(
            f"{len(split)} training images do not fill a batch of {training.batch_size}; set a smaller batch_size"
        )
    exits = network.expert(number)
    parameters = [each for each in exits.parameters() if each.requires_grad]
    norms = [each for each in network.body_of(number).parameters() if each.requires_grad]
    if not parameters:
        return 0.0
    groups: list[dict[str, Any]] = [{"params": parameters}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=training.learning_rate, weight_decay=training.weight_decay)
    steps = max(1, round(training.samples / training.batch_size))
    device, loss = parameters[0].device, torch.zeros(())
    source = split.reader(network.transform.inputs)
    labels = torch.from_numpy(np.array(split.labels))
    network.segments(network.transform(source[np.arange(1)].to(device)), number)
    with seeded(derive(seed, "expert", number)):
        exits.train(True)
        try:
            for step in range(steps):
                rows = _rows(len(split), step, training.batch_size, derive(seed, "order", number))
                images = _images(source[rows], split, step, mix, flip=flip, seed=derive(seed, "images", number))
                for group in optimizer.param_groups:
                    group["lr"] = training.learning_rate * rate_at(step / steps, _WARMUP)
                loss = _loss(network, number, network.transform(images.to(device)), labels[rows].to(device))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if not bool(torch.isfinite(loss)):
                    raise DivergedError(
                        f"the loss of the expert {network.names[number]!r} is not finite "
                        f"(learning_rate={training.learning_rate:g}); lower the learning rate"
                    )
        finally:
            exits.train(False)
    return float(loss.detach())


def fit_norms(
    network: ExpertNetwork, number: int, split: Split, mix: DistortionMix, *, flip: bool = False, seed: int = 0
) -> None:
    """Estimate the statistics of an expert's own batch normalisation on training images that are all distorted.

    They are augmented as in `train_expert`. Raises TaskError for a split of fewer than 2 images.
    """
    if len(split) < 2:
        raise TaskError(f"batch normalisation per kind needs at least 2 training images, got {len(split)}; give more")
    source = split.reader(network.transform.inputs)
    device = next(network.body.parameters()).device
    order = np.random.default_rng(derive(seed, "norms", number)).permutation(len(split))[:_NORM_SAMPLES]
    parts = [order[start : start + _NORM_BATCH] for start in range(0, len(order), _NORM_BATCH)]
    all_distorted, images_seed = replace(mix, share=1.0), derive(seed, "norm images", number)
    estimate_norms(
        network.body_of(number),
        (
            network.transform(_images(source[rows], split, step, all_distorted, flip=flip, seed=images_seed).to(device))
            for step, rows in enumerate(parts)
            if len(rows) > 1
        ),
    )


def _loss(network: ExpertNetwork, number: int, x: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of all exits that have weights, with the auxiliary losses of their branches."""
    total, counted = torch.zeros((), device=x.device), 0
    for k, logits in enumerate(network.expert_logits(number, network.features(x, number))):
        if not logits.requires_grad:
            continue
        total, counted = total + functional.cross_entropy(logits.float(), labels), counted + 1
        own = auxiliary_loss_of(network.branch(number, k), labels)
        if own is not None:
            total = total + AUXILIARY * own
    return total / counted


def _rows(samples: int, step: int, size: int, seed: int) -> np.ndarray:
    """Return the positions [size] of the images of a step; each epoch has its own order and drops what is left over."""
    epoch, place = divmod(step, samples // size)
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    return order[place * size : (place + 1) * size]


def _images(images: Tensor, split: Split, step: int, mix: DistortionMix | None, *, flip: bool, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "augment", step))
    images = split.samples.augmented(images, flip=flip, generator=generator)
    if mix is None:
        return images
    return torch.from_numpy(mix.apply(images.numpy(), np.random.default_rng((seed, step)))[0])
