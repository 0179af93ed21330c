"""The network with experts of a trained early-exit network: classifier, fine-tuned experts, and their policies."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.transform import Transform
from eenas.errors import TaskError
from eenas.frozen.experts.expert_training import ExpertTraining, train_expert
from eenas.frozen.frozen_head import linear_head
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.network import EarlyExitNetwork
from eenas.progress import Listener, Notice, silent
from eenas.seeding import derive
from eenas.tasks.distortions.distorted_images import DistortedImages
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.recognition.classifier_fit import ImageScale, fit_distortion_classifier
from eenas.tasks.recognition.distortion_mix import DistortionMix, check_kinds
from eenas.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class ExpertSpec:
    """The experts of a network: one for each of `kinds` of distortion at `severities`, and the one for clean images.

    Each training image is distorted with the probability `share`. `training` is that of each expert. Raises TaskError
    for unknown kinds and severities, SpecError for other values out of range.
    """

    kinds: Sequence[str]
    severities: Sequence[int] = SEVERITIES
    share: float = 0.5
    training: ExpertTraining = field(default_factory=ExpertTraining)

    def __post_init__(self) -> None:
        """Check the values."""
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
    seed: int = 0,
    listener: Listener = silent,
) -> ExpertNetwork:
    """Return the network with experts of a trained network; `base` is not changed.

    The distortion classifier is fitted and each expert fine-tuned on the task's train split. The expert for clean
    images is `base` itself. The policy is fitted afterwards (`fit_experts`). `listener` is told which expert is
    trained. Raises TaskError for a network of inputs that are not images, and for training images that are distorted
    already.
    """
    if isinstance(task.train.samples, DistortedImages):
        raise TaskError(
            f"{task.name}: a share of the training images is distorted already, and experts tell clean images from "
            "distorted ones; give the task without distortions"
        )
    classifier = fit_distortion_classifier(
        task.train,
        scale_of(base.transform),
        tuple(spec.kinds),
        severities=tuple(spec.severities),
        seed=derive(seed, "classifier"),
    )
    network = ExpertNetwork(base, classifier, final_layer=final_layer_of(base))
    for number, kind in enumerate(spec.kinds, start=1):
        listener(Notice(f"expert {number} of {len(spec.kinds)}, {kind}: {spec.training.samples:,} images"))
        train_expert(
            network, number, task.train, spec.mix(kind), spec.training, flip=task.flip, seed=derive(seed, kind)
        )
    return network


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
