"""What the benchmarks on a frozen backbone share: many branches trained at once, and their logits on three splits."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Placed
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.candidates import Candidates, CandidateTraining, candidate_logits, candidate_table, train_candidates
from eenas.seeding import derive
from eenas.study.context.study_context import StudyContext
from eenas.training.spec import TrainingSpec

TUNE_SHARE = 0.1
Logits = dict[str, NDArray[np.float32]]


def train_frozen(on: StudyContext, placed: Sequence[Placed], *, samples: int, seed: int) -> Logits:
    """The logits `[N, branches + 1, 10]` on tune, calibration, validation and test of branches trained at once."""
    candidates = Candidates(on.backbone, placed, seed=seed).to(on.device)
    train, tune = on.task.train.held_out(TUNE_SHARE, seed)
    train_candidates(
        candidates,
        train,
        training=CandidateTraining(
            spec=TrainingSpec(samples=samples, batch_size=64),
            seed=derive(seed, "benchmark"),
            flip=on.task.flip,
            execution=on.execution,
        ),
    )
    task = on.task
    splits = {"tune": tune, "calibration": task.calibration, "validation": task.validation, "test": task.test}
    return {name: candidate_logits(candidates, split) for name, split in splits.items()}


def table_of(
    on: StudyContext, placed: Sequence[Placed], logits: NDArray[np.float32], split: str, seed: int
) -> CandidateTable:
    """The candidate table of one split."""
    labels = (on.task.train.held_out(TUNE_SHARE, seed)[1] if split == "tune" else on.task.split(split)).labels
    shapes = {point.name: point.shape for point in on.profile.cut_points}
    macs = [on.branch_macs(each.branch, shapes[each.cut_point]) for each in placed]
    return candidate_table(placed, logits, labels, profile=on.profile, branch_macs=macs)
