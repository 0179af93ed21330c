"""The network with experts of a trained early-exit network: classifier, fine-tuned experts, and their policies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import nn

from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.transform import Transform
from eenas.errors import SpecError, TaskError, nearest
from eenas.frozen.experts.expert_training import ExpertTraining, fit_norms, train_expert
from eenas.frozen.experts.kept_experts import KeptExperts
from eenas.frozen.frozen_head import linear_head
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.own_norms import need_norms, norms_of
from eenas.networks.network import EarlyExitNetwork
from eenas.progress import Listener, Notice, silent
from eenas.seeding import derive
from eenas.tasks.distortions.distorted_images import DistortedImages
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.recognition.classifier_fit import ImageScale, fit_distortion_classifier
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier
from eenas.tasks.recognition.distortion_mix import DistortionMix, check_kinds
from eenas.tasks.task import Task

BatchNorm = Literal["auto", "shared", "per_kind", "per_kind_tuned"]
"""Batch normalisation of the backbone under experts.

- `auto`: `per_kind` if the backbone has running statistics of batch normalisation, else `shared`.
- `shared`: that of the network that was given, for all experts.
- `per_kind`: each expert but the first has statistics of its own, estimated on distorted images of its kind.
- `per_kind_tuned`: its scales and shifts are its own, too, and learn with its exits.
"""


@dataclass(frozen=True, kw_only=True)
class ExpertSpec:
    """The experts of a network: one for each of `kinds` of distortion at `severities`, and the one for clean images.

    Each training image is distorted with the probability `share`. `training` is that of each expert. `batch_norm` is
    that of the backbone, see `BatchNorm`. Raises TaskError for unknown kinds and severities, SpecError for other values
    out of range.
    """

    kinds: Sequence[str]
    severities: Sequence[int] = SEVERITIES
    share: float = 0.5
    training: ExpertTraining = field(default_factory=ExpertTraining)
    batch_norm: BatchNorm = "auto"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.batch_norm not in get_args(BatchNorm):
            raise SpecError(
                f"batch_norm of experts must be {', '.join(get_args(BatchNorm))}, got {self.batch_norm!r:.60}; "
                f"{nearest(str(self.batch_norm), get_args(BatchNorm))}"
            )
        check_kinds(self.kinds)
        self.mix(self.kinds[0])

    def mix(self, *kinds: str) -> DistortionMix:
        """Return the mix of clean images and these kinds."""
        return DistortionMix(kinds=kinds, severities=self.severities, share=self.share)


def build_experts(
    base: EarlyExitNetwork,
    task: Task,
    spec: ExpertSpec,
    *,
    classifier: DistortionClassifier | None = None,
    kept: KeptExperts | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> ExpertNetwork:
    """Return the network with experts of a trained network; `base` is not changed.

    The distortion classifier is fitted, unless it is given, and each expert is fine-tuned on the train split of the
    task. The expert for clean images is `base` itself. The policy is fitted afterwards (`fit_experts`). `listener` is
    told which expert is trained. With `kept`, finished experts are kept there, and those found there are not trained.
    Raises TaskError for a network of inputs that are not images, and for training images that are distorted already;
    DesignError for batch normalisation per kind in a backbone without.
    """
    own_norms = has_own_norms(spec, base.backbone)
    if spec.batch_norm == "auto" and not own_norms:
        listener(Notice("the experts share all of the backbone, which has no statistics of batch normalisation"))
    if isinstance(task.train.samples, DistortedImages):
        raise TaskError(
            f"{task.name}: a share of the training images is distorted already, and experts tell clean images from "
            "distorted ones; give the task without distortions"
        )
    found = classifier or fit_distortion_classifier(
        task.train,
        scale_of(base.transform),
        tuple(spec.kinds),
        severities=tuple(spec.severities),
        seed=derive(seed, "classifier"),
    )
    network = ExpertNetwork(base, found, final_layer=final_layer_of(base), own_norms=own_norms)
    for number, kind in enumerate(spec.kinds, start=1):
        if kept is not None and kept.load(network, number):
            listener(Notice(f"expert {number} of {len(spec.kinds)}, {kind}: trained before"))
            continue
        listener(Notice(f"expert {number} of {len(spec.kinds)}, {kind}: {spec.training.samples:,} images"))
        add_expert(network, number, task, spec, seed=derive(seed, kind))
        if kept is not None:
            kept.save(network, number)
    return network


def has_own_norms(spec: ExpertSpec, backbone: nn.Module) -> bool:
    """Whether the experts of this backbone have their own batch normalisation. Raises DesignError if they cannot."""
    if spec.batch_norm in ("per_kind", "per_kind_tuned"):
        need_norms(backbone)
        return True
    return spec.batch_norm == "auto" and bool(norms_of(backbone))


def add_expert(network: ExpertNetwork, number: int, task: Task, spec: ExpertSpec, *, seed: int = 0) -> None:
    """Fit the batch normalisation of an expert, if it has its own, and fine-tune its exits, in place."""
    mix, train = spec.mix(network.names[number]), task.train
    if network.own_norms:
        fit_norms(network, number, train, mix, flip=task.flip, seed=seed)
    norms = norms_of(network.body_of(number)).values() if spec.batch_norm == "per_kind_tuned" else ()
    for norm in norms:
        norm.requires_grad_(True)
    try:
        train_expert(network, number, train, mix, spec.training, flip=task.flip, seed=seed)
    finally:
        for norm in norms:
            norm.requires_grad_(False)


def scale_of(transform: Transform) -> ImageScale:
    """Return the scale of a transform of images. Raises TaskError for other inputs."""
    if not isinstance(transform, InputTransform):
        raise TaskError(f"experts for distortions need a network of images, got one of {transform.inputs}")
    return ImageScale(inputs=transform.inputs, mean=transform.mean, std=transform.std)


def final_layer_of(network: EarlyExitNetwork) -> str | None:
    """Return the name of the Linear layer that outputs the backbone's logits, or None if there is no such layer."""
    if network.design.static:
        return None
    device = next(network.parameters()).device
    return linear_head(network.backbone, torch.ones(2, *network.transform.shape, device=device))
