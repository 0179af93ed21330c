"""A million samples through an exported model, in batches of every size, with batches among them that it must refuse.

    python tests/benchmarks/soak.py MODEL --study branchynet_lenet --task npz:mnist.npz

Every answer is held against the network's own, computed beforehand in eager torch; only samples with a score within
1e-5 of a threshold may differ, and are counted. Memory after a tenth of the samples is held against memory at the end.
Ends with 1 and says why when an answer is wrong, a refusal is not an InputError of one line, or memory has grown.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import eenas
from eenas.errors import InputError
from eenas.networks.tables import batches
from eenas.policies.policy import Policy
from eenas.programs.runtime import ExportedModel
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.load import load_task

BATCHES = (1, 2, 3, 5, 8, 16, 31, 32, 64, 100, 200)
BAD_SHARE = 0.05
GROWTH_MB = 8.0
"""So much may the allocators of NumPy and onnxruntime still be settling after a tenth of the samples."""

Maker = Callable[[NDArray[np.float32]], Any]


def spoiled(value: float) -> Maker:
    """One number of one sample replaced."""

    def make(x: NDArray[np.float32]) -> NDArray[np.float32]:
        x = x.copy()
        x.reshape(-1)[x.size // 3] = value
        return x

    return make


MALFORMED: dict[str, Maker] = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "int64": lambda x: x.astype(np.int64),
    "objects": lambda x: x.astype(object),
    "text": lambda x: np.array(["image"] * len(x)),
    "a list": lambda x: x[:1].tolist(),
    "None": lambda x: None,
    "a torch tensor": torch.from_numpy,
    "without channels": lambda x: x[:, 0],
    "channels last": lambda x: np.moveaxis(np.repeat(x, 2, axis=1), 1, -1),
    "a row missing": lambda x: x[:, :, 1:],
    "a channel too many": lambda x: np.concatenate([x, x[:, :1]], axis=1),
    "flat": lambda x: x.reshape(-1),
    "no axis": lambda x: np.float32(0).reshape(()),
    "empty and flat": lambda x: np.zeros(0, dtype=np.float32),
    "empty, other size": lambda x: x[:0, :, 1:],
    "uint8, a row missing": lambda x: x[:, :, 1:].astype(np.uint8),
    "uint8, two channels": lambda x: np.zeros((len(x), 2, *x.shape[2:]), dtype=np.uint8),
    "NaN": spoiled(np.nan),
    "infinity": spoiled(np.inf),
    "minus infinity": spoiled(-np.inf),
}
"""What `predict` refuses, made from a batch that it takes."""


@dataclass(frozen=True)
class Expected:
    """What a policy answers to every sample, sample by sample, and which of them rounding may decide otherwise."""

    policy: Policy
    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    near: NDArray[np.bool_]


class Failure(Exception):
    """What the soak found."""


def main() -> int:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder of `eenas export --format onnx`")
    parser.add_argument("--task", help="digits, npz:PATH, folder:PATH (default: the study's)")
    parser.add_argument("--study", default="digits", help="the study whose test split it is (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network, model = eenas.load(given.model), eenas.runtime.load(given.model, threads=given.threads)
    settings, home = load_settings(given.study, task=given.task, backbone=network.design.backbone)
    test = load_task(settings.task, relative_to=home).test
    raw = test.reader(network.transform.inputs)[np.arange(len(test))].numpy()
    with torch.inference_mode():
        parts = list(batches(network, test, 256, torch.device("cpu")))
        images = torch.cat(parts).contiguous().numpy()
        logits = np.concatenate([np.stack([each.numpy() for each in network(part)], axis=1) for part in parts])
    answers = [expected(policy, logits) for policy in policies(model)]
    try:
        print(soak(model, raw, images, answers, given.samples, np.random.default_rng(given.seed)))
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    return 0


def policies(model: ExportedModel) -> Iterator[Policy]:
    """The fitted policy, and the cheapest and the dearest operating points of the manifest."""
    if model.policy is not None:
        yield model.policy
    for point in (*model.manifest.points[:1], *model.manifest.points[-1:]):
        yield point.policy


def expected(policy: Policy, logits: NDArray[np.float32]) -> Expected:
    """One sample after another through logits [N, K, C]."""
    total = len(logits)
    classes, exits = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    near = np.zeros(total, dtype=np.bool_)
    for index in range(total):
        state = policy.start(1)
        for k in range(logits.shape[1]):
            one = logits[index : index + 1, k]
            two = np.sort(one[0])[-2:]
            near[index] |= bool(policy.near(k, one, state)[0]) or two[1] - two[0] <= 1e-5
            leave, state = policy.decide(k, one, state)
            if leave[0]:
                classes[index], exits[index] = policy.answer(state)[0], k
                break
    return Expected(policy, classes, exits, near)


def soak(
    model: ExportedModel,
    raw: NDArray[np.uint8],
    images: NDArray[np.float32],
    answers: list[Expected],
    samples: int,
    rng: np.random.Generator,
) -> str:
    """What it did, in one line. Raises Failure at the first wrong answer or refusal, and when memory has grown."""
    done = batch_count = differing = 0
    refusals: Counter[str] = Counter()
    settled: float | None = None
    began, makers = time.perf_counter(), list(MALFORMED)
    while done < samples:
        truth = answers[int(rng.integers(len(answers)))]
        model.set_policy(truth.policy)
        rows = rng.integers(len(images), size=int(rng.choice(BATCHES)))
        if rng.random() < BAD_SHARE:
            kind = makers[int(rng.integers(len(makers)))]
            refuse(model, kind, MALFORMED[kind](images[rows]))
            refusals[kind] += 1
            if len(model.predict(images[:0]).classes):
                raise Failure("a batch of no samples was answered with some")
        answer = model.predict(raw[rows] if rng.random() < 0.5 else images[rows])
        wrong = (answer.classes != truth.classes[rows]) | (answer.exits != truth.exits[rows])
        if (bad := np.flatnonzero(wrong & ~truth.near[rows])).size:
            first = bad[0]
            raise Failure(
                f"sample {rows[first]} in a batch of {len(rows)}: class {answer.classes[first]} at exit "
                f"{answer.exits[first]}, alone {truth.classes[rows[first]]} at {truth.exits[rows[first]]}"
            )
        if not np.isfinite(answer.confidences).all():
            raise Failure(f"confidences that are not finite in a batch of {len(rows)}")
        differing += int(wrong.sum())
        done, batch_count = done + len(rows), batch_count + 1
        if settled is None and done >= samples / 10:
            settled = resident()
    if sum(one.left for one in model.statistics) != done:
        raise Failure(f"{done} samples were answered, the statistics say {sum(one.left for one in model.statistics)}")
    assert settled is not None
    if (growth := resident() - settled) > GROWTH_MB:
        raise Failure(f"memory grew by {growth:.1f} MB from {settled:.1f} MB")
    if missing := [kind for kind in MALFORMED if not refusals[kind]]:
        raise Failure(f"never tried: {', '.join(missing)}; take more samples")
    return (
        f"{done:,} samples in {batch_count:,} batches of 1 to {max(BATCHES)}, {time.perf_counter() - began:.0f} s: no "
        f"wrong answer ({differing} of samples within 1e-5 of a threshold decided otherwise), {refusals.total():,} "
        f"malformed batches of {len(refusals)} kinds refused, memory {settled:.1f} MB after a tenth and "
        f"{growth:+.1f} MB at the end"
    )


def refuse(model: ExportedModel, kind: str, batch: Any) -> None:
    """Raise Failure unless the model refuses the batch with an InputError of one line."""
    try:
        model.predict(batch)
    except InputError as error:
        if "\n" in str(error) or not str(error):
            raise Failure(f"{kind}: refused with {str(error)!r}") from None
    except Exception as error:
        raise Failure(f"{kind}: ended in {type(error).__name__}: {error}") from error
    else:
        raise Failure(f"{kind}: was answered")


def resident() -> float:
    """The memory that this process holds, in MB."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
