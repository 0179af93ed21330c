"""The comparison of exported programs with a network with experts, on clean and distorted samples."""

import numpy as np
import torch

from eenas.backbones.transforms.transform import Transform
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.programs.parity import (
    SAMPLES,
    Parity,
    ParitySamples,
    close_decisions,
    decided_differently,
    logit_differences,
)
from eenas.programs.runtime import ExportedModel
from eenas.tasks.task import Task

_BATCH = 32


@torch.inference_mode()
def compare_experts(network: ExpertNetwork, model: ExportedModel, samples: ParitySamples) -> Parity:
    """Compare a network with experts on the CPU in eval mode with its programs: choices, logits and decisions.

    A sample between two kinds (`DistortionClassifier.near`) counts as close to a decision; its logits are compared if
    both choose the same expert. Raises ParityError with the exit and the first sample that differ.
    """
    parts = torch.split(samples.inputs, _BATCH)
    arrays = [part.numpy() for part in parts]
    chosen = np.concatenate([network.choose(part) for part in parts])
    between = np.concatenate([network.classifier.near(part) for part in arrays])
    logits = np.concatenate([torch.stack(network(part), dim=1).numpy() for part in parts])
    found = np.concatenate([np.stack(model.logits(part), axis=1) for part in arrays])
    sure = ~between
    differences = logit_differences(logits[sure], found[sure], model.exits)
    near, differing = int(between.sum()), 0
    if network.policy is not None:
        close = close_decisions(network.policy, logits, network.policy.begin(chosen)) | between
        near = int(close.sum())
        answers = [network.predict(part) for part in parts]
        classes = np.concatenate([answer.classes.numpy() for answer in answers])
        exits = np.concatenate([answer.exits.numpy() for answer in answers])
        there = [model.predict(part) for part in arrays]
        differing = decided_differently(classes, exits, there, close, "the programs")
    return Parity(
        samples=len(logits),
        data=samples.data,
        split=samples.split,
        differences=differences,
        near=near,
        differing=differing,
    )


def first_samples(transform: Transform, task: Task, *, data: str = "") -> ParitySamples:
    """Return the first transformed samples of the task's validation split."""
    rows = np.arange(min(len(task.validation), SAMPLES))
    inputs = transform(task.validation.reader(transform.inputs)[rows])
    return ParitySamples(inputs.contiguous(), task.validation.name, data)
