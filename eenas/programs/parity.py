"""Parity: the comparison of an exported program with its network on real samples, in logits and decisions."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import ExportError, ParityError, plural
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import batches
from eenas.policies.policy import NEAR, Policy
from eenas.policies.scores import score
from eenas.programs.manifest import MANIFEST, ProgramFile, export_errors, read_table
from eenas.programs.prediction import Prediction
from eenas.programs.programs import SINGLE_FILE
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import ANSWERS, INPUTS, error_text, open_session
from eenas.specs import from_table
from eenas.tasks.task import Task

CLOSE, ROUNDING = 1e-4, 3e-6
"""The allowed difference of logits: absolute, and as a share of the exit's largest logit (float32's resolution)."""

SAMPLES = 256
_BATCH = 32


@dataclass(frozen=True, eq=False)
class ParitySamples:
    """Real samples for a comparison: `inputs` float32 [N, ...], transformed, from the split `split` of a task.

    `data` is the task's spec as in `--data`. It is empty for a task that was given as an object.
    """

    inputs: Tensor
    split: str
    data: str = ""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The result of a comparison on `samples` samples of the split `split` of `data`.

    `differences` are the largest differences of logits at each exit, within the limits of CLOSE and ROUNDING. `near`
    samples had a score within 1e-5 of a threshold, or left with two classes that close. `differing` of those were
    decided differently; all other decisions are the same.
    """

    samples: int
    data: str
    split: str
    differences: tuple[float, ...]
    near: int
    differing: int

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "differences": list(self.differences)}

    @classmethod
    def of(cls, folder: Path) -> "Parity":
        """Return the parity that the export to a folder found. Raises ExportError for a folder without programs."""
        program = read_table(folder).get("program")
        table = program.get("parity") if isinstance(program, dict) else None
        if table is None:
            raise ExportError(f"{folder}: contains no compared programs; export with --format onnx or pt2")
        with export_errors(folder / MANIFEST):
            return from_table(cls, table, key="program.parity")


def validation_samples(network: EarlyExitNetwork, task: Task, *, data: str = "", count: int = SAMPLES) -> ParitySamples:
    """Return at most `count` transformed samples of the task's validation split, drawn at random with a fixed seed."""
    split = task.validation
    chosen = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
    inputs = network.transform.joined(list(batches(network, split.subset(chosen), _BATCH, torch.device("cpu"))))
    return ParitySamples(inputs.contiguous(), split.name, data)


@torch.inference_mode()
def compare(network: EarlyExitNetwork, model: ExportedModel, samples: ParitySamples) -> Parity:
    """Compare a network on the CPU in eval mode with its programs, and with its single file if there is one.

    Raises ParityError with the exit and the first sample that differ.
    """
    parts = torch.split(samples.inputs, _BATCH)
    eager = [np.stack([logits.float().numpy() for logits in network(part)], axis=1) for part in parts]
    logits = np.concatenate(eager)  # [N, K, C]
    try:
        found = np.concatenate([np.stack(model.logits(part.numpy()), axis=1) for part in parts])
    except ExportError as error:
        file = str(error).removeprefix(f"{model.manifest.folder}{os.sep}").partition("; ")[0]
        raise ParityError(f"{file}; export again, or use another --format") from error
    differences = logit_differences(logits, found, model.exits)
    near = differing = 0
    if (policy := model.policy) is not None:
        close = close_decisions(policy, logits, policy.start(len(logits)))
        near = int(close.sum())
        answers = [network.predict(part, policy) for part in parts]
        classes = np.concatenate([answer.classes.numpy() for answer in answers])
        exits = np.concatenate([answer.exits.numpy() for answer in answers])
        there = [model.predict(part.numpy()) for part in parts]
        differing = decided_differently(classes, exits, there, close, "the programs")
        if model.manifest.single_file is not None:
            singles = _single(model, model.manifest.single_file, samples.inputs.numpy())
            differing = max(differing, decided_differently(classes, exits, singles, close, SINGLE_FILE))
            reached = np.concatenate([single.exits for single in singles])
            own = np.concatenate([single.logits for single in singles])[:, None]
            expected = logits[np.arange(len(reached)), reached][:, None]
            logit_differences(expected, own, (SINGLE_FILE,))
    return Parity(
        samples=len(logits),
        data=samples.data,
        split=samples.split,
        differences=differences,
        near=near,
        differing=differing,
    )


def logit_differences(expected: NDArray[Any], found: NDArray[Any], exits: tuple[str, ...]) -> tuple[float, ...]:
    """Return the largest difference at each exit of logits [N, K, C]. Raises ParityError if one is too large."""
    if expected.shape != found.shape:
        raise ParityError(f"the program returns logits {list(found.shape)}, the network {list(expected.shape)}")
    apart = np.abs(expected.astype(np.float64) - found).max(axis=2)  # [N, K]
    for k, name in enumerate(exits):
        worst = int(np.argmax(np.where(np.isnan(apart[:, k]), np.inf, apart[:, k])))
        allowed = max(CLOSE, ROUNDING * float(np.abs(expected[:, k]).max()))
        if not apart[worst, k] <= allowed:
            raise ParityError(
                f"exit {name!r}: logits of sample {worst} differ by {apart[worst, k]:.2g}, allowed are {allowed:.2g}; "
                "export again, or use another --format"
            )
    return tuple(float(value) for value in apart.max(axis=0))


def close_decisions(policy: Policy, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
    """Return which samples [N] meet a decision that rounding may change on their way through logits [N, K, C].

    `state` is that of the policy for the N samples before the first exit.
    """
    close = np.zeros(len(logits), dtype=np.bool_)
    staying = np.arange(len(logits))
    for k in range(logits.shape[1]):
        here = logits[staying, k]
        close[staying] |= policy.near(k, here, state)
        leave, state = policy.decide(k, here, state)
        close[staying[leave]] |= score(here[leave], kind="margin") <= NEAR  # two classes are equally likely
        staying, state = staying[~leave], state[~leave]
    return close


def decided_differently(
    classes: NDArray[Any], exits: NDArray[Any], found: list[Prediction], close: NDArray[np.bool_], what: str
) -> int:
    """Return the number of samples decided differently. Raises ParityError if one is not close to a threshold."""
    other_classes = np.concatenate([answer.classes for answer in found])
    other_exits = np.concatenate([answer.exits for answer in found])
    differs = (classes != other_classes) | (exits != other_exits)
    if (wrong := np.flatnonzero(differs & ~close)).size:
        first = wrong[0]
        raise ParityError(
            f"{what}: {plural(wrong.size, 'sample')} decided differently, first {first}: exit {exits[first]} and class "
            f"{classes[first]} in the network, {other_exits[first]} and {other_classes[first]} in the program"
        )
    return int(differs.sum())


def _single(model: ExportedModel, program: ProgramFile, inputs: NDArray[Any]) -> list[Prediction]:
    """Return the answers of the single file, sample by sample."""
    manifest = model.manifest
    session = open_session(manifest.path(program))
    found = []
    for index in range(len(inputs)):
        try:
            classes, exits, logits = session.run(list(ANSWERS), {INPUTS[0]: inputs[index : index + 1]})
        except Exception as error:  # onnxruntime raises many kinds
            reason = f"{program.file}: does not run here ({error_text(error)})"
            raise ParityError(f"{reason}; leave --single-file out") from error
        found.append(Prediction(classes, exits, logits, model.exits, manifest.temperatures))
    return found
