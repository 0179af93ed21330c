"""The programs that the benchmark of deployment compares: each takes a batch and says classes, exits and MACs."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.exit_segment import segment_programs
from eenas.programs.manifest import ProgramFile
from eenas.programs.onnx_program import onnx_model
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import INPUTS, OUTPUTS, OnnxSegment, Signature, open_session

Batch = NDArray[np.float32]
Answer = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Classes and exits [N]."""


@dataclass(frozen=True)
class Rival:
    """A program: `run(batch)` gives classes and exits; `over` names the plain backbone in the same runtime."""

    name: str
    run: Callable[[Batch], Answer]
    over: str


ONNX, EAGER, EENAS, EARLYON = "plain, onnxruntime", "plain, eager torch", "eenas, onnxruntime", "earlyon"
NEVER, BRANCHES, SINGLY = "eenas, nobody leaves", "branches alone", "earlyon, one by one"


def plain_network(network: EarlyExitNetwork) -> EarlyExitNetwork:
    """The backbone of a network with its weights, on its own: no branches, no hooks."""
    design = replace(network.design, branches=(), static=False)
    transform = network.transform
    found = load_backbone(
        BackboneSpec(name=design.backbone),
        num_classes=design.num_classes,
        inputs=transform.inputs,
    )
    found.module.load_state_dict(network.backbone.state_dict())
    plain = EarlyExitNetwork(found.module, {}, design=design, transform=transform, classes=network.classes)
    return plain.eval()


def onnx_rival(plain: EarlyExitNetwork, folder: Path, threads: int) -> Rival:
    """The plain backbone in onnxruntime, exported and opened as eenas's segments are."""
    (program,) = segment_programs(plain)
    path = folder / "plain.onnx"
    path.write_bytes(onnx_model(program).SerializeToString())
    file = ProgramFile(file=path.name, sha256="", shape=program.examples[0].shape[1:])
    segment = OnnxSegment(Signature(path, file, None, plain.design.num_classes), provider="cpu", threads=threads)

    def run(batch: Batch) -> Answer:
        _, logits = segment(batch, None)
        return logits.argmax(axis=1), np.zeros(len(batch), dtype=np.int64)

    return Rival(ONNX, run, ONNX)


def eager_rival(plain: EarlyExitNetwork) -> Rival:
    """The plain backbone in eager torch."""
    module = plain.backbone

    def run(batch: Batch) -> Answer:
        with torch.inference_mode():
            logits = module(torch.from_numpy(batch))
            return logits.argmax(dim=1).numpy(), np.zeros(len(batch), dtype=np.int64)

    return Rival(EAGER, run, EAGER)


def eenas_rival(model: ExportedModel, name: str = EENAS) -> Rival:
    """The exported model as it is."""

    def run(batch: Batch) -> Answer:
        answer = model.predict(batch)
        return answer.classes, answer.exits

    return Rival(name, run, ONNX)


def branches_rival(model: ExportedModel, samples: Batch, folder: Path, threads: int) -> Rival:
    """The branches without their segments, each a program of its own, on the features of the first samples."""
    sessions: list[Any] = []
    features: list[Batch] = []
    x, previous = samples, None
    for number, segment in enumerate(model.segments[:-1]):
        given = [OUTPUTS[0]] + ([INPUTS[1]] if model.manifest.segments[number].takes_previous else [])
        path = folder / f"branch_{number}.onnx"
        part = onnx.utils.Extractor(onnx.load(model.manifest.folder / model.manifest.segments[number].file))
        path.write_bytes(part.extract_model(given, [OUTPUTS[1]]).SerializeToString())
        sessions.append((open_session(path, threads=threads), previous if len(given) == 2 else None))
        found, previous = segment(x, previous)
        assert found is not None
        features.append(found)
        x = found

    def run(batch: Batch) -> Answer:
        n = len(batch)
        for (session, before), some in zip(sessions, features, strict=True):
            session.run(OUTPUTS[1:], {OUTPUTS[0]: some[:n]} | ({INPUTS[1]: before[:n]} if before is not None else {}))
        return np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    return Rival(BRANCHES, run, ONNX)


def earlyon_rivals(network: EarlyExitNetwork, plain: EarlyExitNetwork, policy: ThresholdPolicy) -> tuple[Rival, Rival]:
    """earlyon 0.3 (MIT) with the network's branches, weights and thresholds: as it takes a batch, and one by one.

    Its batches leave together, at the first exit where every sample passes; alone each sample decides as in eenas.
    Raises ValueError for branches and scores that it does not have.
    """
    from earlyon import EarlyExitConfig, EarlyExitWrapper, ExitPoint

    if network.is_boosted or any(network.reads_previous(name) for name in network.exits):
        raise ValueError("earlyon has no branches that read the exit before")
    if policy.score not in ("max_softmax", "entropy"):
        raise ValueError(f"earlyon does not decide by {policy.score}")
    names = network.exits[:-1]
    keys = [f"e{k}" for k in range(len(names))]
    limits = [0.0 if value is None else value for value in policy.thresholds]
    classes = network.design.num_classes
    config = EarlyExitConfig(
        backbone="custom",
        num_classes=classes,
        exit_points=[ExitPoint(key, name, 1) for key, name in zip(keys, names, strict=True)],
        confidence_thresholds=limits,
        entropy_thresholds=[(1 - value) * float(np.log(classes)) for value in limits],
        enabled_exits=[value is not None for value in policy.thresholds],
        routing_policy="confidence" if policy.score == "max_softmax" else "entropy",
        temperatures=dict(zip((*keys, "final"), policy.temperatures, strict=True)),
    )
    heads = {key: deepcopy(network.branches.at(name)) for key, name in zip(keys, names, strict=True)}
    shape = (1, *network.transform.shape)
    wrapper = EarlyExitWrapper(deepcopy(plain.backbone), heads, lambda x: x, config, input_shape=shape).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its estimate of FLOPs wants fvcore; nothing here reads it
        _ = wrapper.flops_estimate
    last = len(names)

    def batched(batch: Batch) -> Answer:
        found = wrapper.forward_inference_batched(torch.from_numpy(batch))
        exit_ = found.exit_taken if found.exit_taken >= 0 else last
        return found.predictions.argmax(dim=1).numpy(), np.full(len(batch), exit_, dtype=np.int64)

    def singly(batch: Batch) -> Answer:
        answers = [wrapper(torch.from_numpy(batch[i : i + 1]), mode="inference") for i in range(len(batch))]
        exits = [answer.exit_taken if answer.exit_taken >= 0 else last for answer in answers]
        return np.array([int(answer.prediction.argmax()) for answer in answers]), np.array(exits)

    return Rival(EARLYON, batched, EAGER), Rival(SINGLY, singly, EAGER)
