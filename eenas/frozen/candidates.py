"""Candidate branches at cut points of a frozen backbone, trained side by side from one forward pass."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.copies import evaluated
from eenas.backbones.load import Backbone
from eenas.backbones.memory_format import PLAIN, laid, lay_out
from eenas.branches.abilities import auxiliary_loss_of, logits_of
from eenas.branches.building import built
from eenas.designs.design import Placed
from eenas.errors import TrainingError
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.candidates_checkpoint import CandidatesCheckpoint
from eenas.frozen.feature_cache import FeatureStream
from eenas.frozen.frozen_features import Features, feature_batches, read_features
from eenas.measurement.profile import Profile
from eenas.networks.assembly import common_format
from eenas.seeding import derive, seeded
from eenas.specs import digest
from eenas.tasks.split import Split
from eenas.training.batches import Batches
from eenas.training.execution import Execution
from eenas.training.memory import memory_errors
from eenas.training.schedule import BudgetClock, rate_at
from eenas.training.spec import TrainingSpec

LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-2
"""AdamW's. Structures of every kind are trained side by side, and AdamW depends less on their scales than SGD.

A rate of 1e-2 is slightly better for small heads, but makes linear heads on large maps so steep that joint training
from them harms the backbone.
"""

AfterStep = Callable[[float], None]


@dataclass(frozen=True)
class CandidatesReport:
    """The samples seen in training, and the indices of the branches that stopped at a loss that was not finite."""

    samples: int = 0
    diverged: tuple[int, ...] = ()


class Candidates(nn.Module):
    """A frozen copy of a backbone with independent branches. A cut point can carry several.

    `forward` takes inputs `[N, ...]` (floats, after the transform) and returns the logits `[N, num_classes]` of
    every branch in the order of `placed`, then those of the backbone's own classifier. Gradients stop at the features.
    The backbone stays in eval mode, also under `train()`.
    """

    def __init__(self, backbone: Backbone, placed: Sequence[Placed], *, seed: int = 0) -> None:
        """Give each branch the initial weights that it has in a network of the same seed."""
        super().__init__()
        self.placed = tuple(placed)
        self.transform = backbone.transform
        self.backbone = evaluated(backbone.module)
        self.backbone.requires_grad_(False)
        shapes = {point.name: point.shape for point in backbone.all_cut_points}
        branches = []
        for each in self.placed:
            with seeded(derive(seed, "branch", each.cut_point, digest(each.branch))):
                branches.append(built(each.branch, shapes[each.cut_point], backbone.num_classes))
        self.branches = nn.ModuleList(branches)
        formats = [
            common_format(backbone, [each], {each.cut_point: made}) for each, made in zip(placed, branches, strict=True)
        ]
        self.memory_format = PLAIN if PLAIN in formats else backbone.memory_format

    def train(self, mode: bool = True) -> "Candidates":
        """Set the branches to training or evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, x: Tensor) -> tuple[Features, Tensor]:
        """Return the features at the cut points that carry branches, and the backbone's own logits, in float32."""
        return read_features(self.backbone, self.cut_points, x)

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        features, final = self.features(x)
        return [*self.answers(features), final]

    @property
    def cut_points(self) -> tuple[str, ...]:
        """The names of the cut points that carry branches."""
        return tuple(dict.fromkeys(each.cut_point for each in self.placed))

    def answers(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the logits `[N, num_classes]` of every branch from the features at its cut point."""
        return [
            logits_of(branch, features[each.cut_point], None)
            for each, branch in zip(self.placed, self.branches, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class CandidateTraining:
    """How candidate branches are trained: the budget, the seed, whether images are mirrored, and the execution."""

    spec: TrainingSpec
    seed: int
    flip: bool
    execution: Execution


def train_candidates(
    candidates: Candidates,
    split: Split,
    *,
    training: CandidateTraining,
    after_step: AfterStep | None = None,
    stream: FeatureStream | None = None,
    checkpoint: CandidatesCheckpoint | None = None,
) -> CandidatesReport:
    """Train every branch of `candidates` on `split` with cross-entropy plus half its own auxiliary loss.

    The result for a branch depends on the seed, its cut point and its structure, but not on the other branches: all see
    the same batches, each draws its own random numbers, and each gradient is clipped alone. `after_step` receives the
    share of the budget used so far. Training runs on the device of `candidates`. The backbone computes in the precision
    of `execution`, branches in float32.

    `stream` is the feature stream of this training: features that it holds are read from it, and others are written to
    it. `checkpoint` saves the state from time to time and when the time is over; training resumes from it with the same
    result as an uninterrupted run. Raises OutOfMemoryError and TimeOverError.
    """
    device = next(candidates.backbone.parameters()).device
    spec, seed, flip = training.spec, training.seed, training.flip
    execution = training.execution.within(candidates.memory_format)
    if execution.channels_last:
        lay_out(candidates.backbone)
    batches = Batches(
        split,
        candidates.transform,
        batch_size=spec.batch_for(len(split)),
        seed=seed,
        flip=flip if spec.augment else None,
        device=device,
    )
    optimizer = torch.optim.AdamW(_groups(candidates.branches), lr=LEARNING_RATE)
    clock = BudgetClock(spec, batches.steps() * spec.batch_for(len(split)))
    step, diverged = 0, set[int]()
    if checkpoint is not None:
        step = checkpoint.resume(candidates.branches, optimizer, clock, diverged)
    if step and stream is not None:
        stream.resume_at(clock.samples)
    candidates.train()
    shuffled = feature_batches(
        candidates.backbone, candidates.cut_points, batches, execution, first=step, stream=stream
    )
    with stream or nullcontext(), memory_errors(spec.batch_for(len(split))), seeded(seed), closing(shuffled):
        while clock.progress < 1.0:
            features, labels = next(shuffled)
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate_at(clock.progress, spec.warmup)
            optimizer.zero_grad(set_to_none=True)
            _backward(candidates, features, labels, derive(seed, "step", step), spec.clip, diverged)
            optimizer.step()
            step += 1
            clock.samples += len(labels)
            if after_step is not None:
                after_step(clock.progress)
            if checkpoint is not None and clock.progress < 1.0:
                at = (step // batches.steps(), step)
                checkpoint.after_step(candidates.branches, optimizer, clock, diverged, at)
    candidates.eval()
    return CandidatesReport(clock.samples, tuple(sorted(diverged)))


def _backward(
    candidates: Candidates, features: Features, labels: Tensor, seed: int, clip: float, diverged: set[int]
) -> None:
    """Compute the gradient of every branch on one batch.

    A branch whose loss is not finite joins `diverged` and is skipped from then on.
    """
    for index, (placed, branch) in enumerate(zip(candidates.placed, candidates.branches, strict=True)):
        if index in diverged:
            continue
        torch.manual_seed(seed)
        loss = functional.cross_entropy(logits_of(branch, features[placed.cut_point], None), labels)
        own = auxiliary_loss_of(branch, labels)
        if own is not None:
            loss = loss + 0.5 * own
        if not bool(torch.isfinite(loss)):
            diverged.add(index)
            continue
        loss.backward()  # type: ignore[no-untyped-call]
        if clip:
            torch.nn.utils.clip_grad_norm_(branch.parameters(), clip)


@torch.inference_mode()
def candidate_logits(
    candidates: Candidates,
    split: Split,
    *,
    batch_size: int = 256,
    with_final: bool = True,
    stream: FeatureStream | None = None,
) -> NDArray[np.float32]:
    """Return the logits `[N, branches + 1, num_classes]` of every candidate and of the backbone on a split.

    `with_final=False` leaves out the backbone's. `stream` is the feature stream of this split: features that it holds
    are read from it, and others are written to it.
    """
    was_training = candidates.training
    candidates.eval()
    device = next(candidates.backbone.parameters()).device
    source = split.reader(candidates.transform.inputs)
    names, rows = candidates.cut_points, []
    held = stream is not None and bool(names) and not with_final and stream.holds(names)
    with stream or nullcontext():
        for start in range(0, len(split), batch_size):
            indices = np.arange(start, min(start + batch_size, len(split)))
            if stream is not None and held:
                logits = candidates.answers(stream.read(names, len(indices), device))
            else:
                inputs = laid(candidates.transform(source[indices].to(device)), candidates.memory_format)
                features, final = candidates.features(inputs)
                kept = stream.write(features) if stream is not None and features else features
                logits = [*candidates.answers(kept), *([final] if with_final else [])]
            rows.append(torch.stack(logits, dim=1).cpu())
    candidates.train(was_training)
    return np.asarray(torch.cat(rows).numpy(), dtype=np.float32)


def candidate_table(
    placed: Sequence[Placed],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    profile: Profile,
    branch_macs: Sequence[int],
) -> CandidateTable:
    """Return the table of the candidates `placed`, in depth order, from the result of `candidate_logits`.

    `branch_macs` are the MACs of each branch without its decision, which costs one multiply-accumulate per class, as in
    an exit table.
    """
    if len(branch_macs) != len(placed):
        raise TrainingError(f"{len(placed)} candidates need as many branch_macs, got {len(branch_macs)}")
    at = [profile.macs[profile.index(each.cut_point)] for each in placed]
    classes = logits.shape[2]
    return CandidateTable(
        names=tuple(each.cut_point for each in placed),
        logits=logits,
        labels=labels,
        backbone_macs=np.array([*at, profile.total_macs], dtype=np.float64),
        branch_macs=np.array(branch_macs, dtype=np.float64) + classes,
    )


def _groups(branches: nn.ModuleList) -> list[dict[str, Any]]:
    decayed = [p for p in branches.parameters() if p.ndim > 1]
    others = [p for p in branches.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
