"""The branch bank: branches trained on the frozen prepared backbone, stored so that none is trained twice."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.designs.design import Design, Placed
from eenas.errors import DivergedError, StorageError
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.candidates import (
    LEARNING_RATE,
    WEIGHT_DECAY,
    Candidates,
    CandidatesReport,
    CandidateTraining,
    candidate_logits,
    candidate_table,
    train_candidates,
)
from eenas.frozen.candidates_checkpoint import CandidatesCheckpoint
from eenas.measurement.profile import source_of
from eenas.networks.checkpoint import read_state, write_state
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import with_distorted
from eenas.policies.exit_table import ExitTable
from eenas.progress import Advanced, Finished, Notice, Started
from eenas.records.bank import BankRecord, BankRecords
from eenas.seeding import derive
from eenas.specs import digest, to_table
from eenas.study.context.bank_features import BankFeatures
from eenas.study.context.study_context import StudyContext
from eenas.tasks.split import Split
from eenas.training.checkpoints import Checkpoint
from eenas.training.schedule import samples_of
from eenas.training.spec import TrainingSpec

PHASE = "training branches for the bank"
MEMORY = 2**29
"""The memory in bytes for the logits of branches that are trained together. More branches are trained in groups."""
ATTEMPTS = 3
"""How often branches are trained whose artifacts are gone when they are to be read."""
_FINAL = "final"
_WEIGHTS, _LOGITS = "weights.", "logits."


class Bank:
    """The trained branches of a study's prepared backbone, and the training of missing ones.

    The key of a branch covers everything that decides its weights: the backbone with its weights, the task with its
    splits, the cut point, the structure (for custom branches, the source), the training and the seed. A branch is
    trained on `train` without `tune`, together with any others, since branches on a frozen backbone are independent.
    Its logits on `tune`, `calibration` and `validation` are stored with its weights, so the exit table of any choice of
    branches is available without computation. All studies and workers on the storage share the bank. Lost or changed
    artifacts are recomputed.
    """

    def __init__(self, context: StudyContext) -> None:
        self._context = context
        self._records = BankRecords(context.database)
        self._checked: dict[str, BankRecord] = {}
        self.samples = 0
        """The number of training samples that this object used for the bank."""

    @property
    def training(self) -> TrainingSpec:
        """The budget for training a branch: `[bank.training]` if set, else that of a trial."""
        settings = self._context.settings
        return settings.bank.training or settings.training

    @cached_property
    def backbone(self) -> str:
        """The digest of the prepared backbone."""
        return self._context.backbone.digest

    def fill(self, placed: Iterable[Placed]) -> int:
        """Train the branches of `placed` that the bank lacks, all together, and return their number.

        Raises DivergedError, which names the first branch with a non-finite loss, after storing the others.
        """
        wanted = {self._key(each): each for each in (one.uncascaded for one in placed)}
        held = self._find([*wanted, self._final_key])
        missing = [each for key, each in wanted.items() if key not in held]
        with_final, diverged = self._final_key not in held, None
        for number, group in enumerate(self._groups(missing) or ([()] if with_final else [])):
            try:
                self._train(group, keep_final=with_final and number == 0)
            except DivergedError as error:
                diverged = diverged or error
            self._context.limit.check()
        if diverged is not None:
            raise diverged
        return len(missing)

    def holds(self, placed: Placed) -> bool:
        """Whether this branch is in the bank."""
        return bool(self._find([self._key(placed.uncascaded)]))

    def logits(self, placed: Sequence[Placed], split: str) -> NDArray[np.float32]:
        """Return the logits `[N, len(placed) + 1, C]` on a split, the backbone's own last; train missing branches."""
        keys = [*(self._key(each.uncascaded) for each in placed), self._final_key]
        records = self._filled(placed, keys)
        found = [self._held(records[key], _LOGITS + split)[""].numpy() for key in keys]
        return np.stack(found, axis=1)

    def table(self, placed: Sequence[Placed], split: str) -> CandidateTable:
        """Return the candidate table of branches in depth order, which gives the scores of any choice of them."""
        context = self._context
        shapes = {point.name: point.shape for point in context.profile.cut_points}
        found = candidate_table(
            placed,
            self.logits(placed, split),
            self._splits[split].labels,
            profile=context.profile,
            branch_macs=[context.branch_macs(each.branch, shapes[each.cut_point]) for each in placed],
        )
        return replace(found, balanced=self._splits[split].balanced)

    def exit_tables(self, design: Design, costs: ExitCosts) -> dict[str, ExitTable]:
        """Return the exit tables of `design` on the frozen backbone; a cascade has the logits of its wrapped branch."""
        exits = design.exits
        return {
            split: ExitTable(
                logits=self.logits(design.branches, split)[:, : len(exits)],
                labels=self._splits[split].labels,
                exits=exits,
                costs=costs.costs,
                balanced=self._splits[split].balanced,
                contexts=self._splits[split].contexts,
            )
            for split in with_distorted(self._context.task)
        }

    def inherit(self, network: EarlyExitNetwork) -> None:
        """Load the weights of every branch of `network` from the bank. Missing branches are trained first."""
        placed = network.design.branches
        keys = {each.cut_point: self._key(each.uncascaded) for each in placed}
        records = self._filled(placed, keys.values())
        for each in placed:
            branch: nn.Module = network.branches.at(each.cut_point)
            inside = branch.branch if isinstance(each.branch, Cascade) else branch
            assert isinstance(inside, nn.Module)
            inside.load_state_dict(self._held(records[keys[each.cut_point]], _WEIGHTS))

    @cached_property
    def _splits(self) -> Mapping[str, Split]:
        task = self._context.task
        return {"tune": task.train.held_out()[1], **{name: task.split(name) for name in with_distorted(task)}}

    @cached_property
    def conditions(self) -> list[Any]:
        """The inputs of every branch besides its cut point and structure."""
        context = self._context
        half = bool(context.settings.bank.feature_cache)
        how = [to_table(self.training.to_key()), LEARNING_RATE, WEIGHT_DECAY, str(context.execution), half]
        return [self.backbone, context.task.digest, *how, context.settings.seed]

    @cached_property
    def _final_key(self) -> str:
        return digest([self.backbone, self._context.task.digest, _FINAL])

    def _key(self, placed: Placed) -> str:
        return digest([*self.conditions, placed.cut_point, placed.branch.to_table(), source_of(placed.branch)])

    def _filled(self, placed: Sequence[Placed], keys: Collection[str]) -> dict[str, BankRecord]:
        """Return the records of `keys`, which are those of `placed`; missing branches are trained first.

        Raises StorageError if artifacts go missing faster than they are made.
        """
        for _ in range(ATTEMPTS):
            self.fill(placed)
            records = self._find(keys)
            if all(key in records for key in keys):
                return records
        raise StorageError(
            f"{self._context.artifacts.label}: artifacts of the bank go missing while they are used; end what removes "
            "them and rerun the command"
        )

    def _find(self, keys: Iterable[str]) -> dict[str, BankRecord]:
        """Return the records of `keys` with unchanged artifacts, and drop the others."""
        wanted, store = list(dict.fromkeys(keys)), self._context.artifacts
        unknown = [key for key in wanted if key not in self._checked or not store.exists(self._checked[key].artifact)]
        for key in unknown:  # another worker may have dropped the row and not retrained the branch yet
            self._checked.pop(key, None)
        gone = 0
        for key, record in self._records.find(unknown).items() if unknown else ():
            if store.holds(record.artifact):
                self._checked[key] = record
            else:
                self._records.drop(record)
                gone += 1
        if gone:
            self._context.listener(
                Notice(f"bank: the files of {gone} rows are missing or changed; their branches are trained again")
            )
        return {key: self._checked[key] for key in wanted if key in self._checked}

    def _groups(self, missing: Sequence[Placed]) -> list[tuple[Placed, ...]]:
        each = 4 * self._context.backbone.num_classes * max(1, sum(len(split) for split in self._splits.values()))
        size = max(1, MEMORY // each)
        return [tuple(missing[start : start + size]) for start in range(0, len(missing), size)]

    def _train(self, placed: Sequence[Placed], *, keep_final: bool) -> None:
        context, seed = self._context, self._context.settings.seed
        candidates = Candidates(context.backbone, placed, seed=seed).to(context.device)
        report, checkpoint = CandidatesReport(), self.checkpoint
        if placed:
            context.listener(Started(PHASE, 100))
            if checkpoint.path.exists():
                context.listener(Notice(f"{PHASE}: resuming from {checkpoint.path}"))
            train, _ = context.task.train.held_out()
            report = train_candidates(
                candidates,
                train,
                training=CandidateTraining(
                    spec=self.training,
                    seed=derive(seed, "candidates"),
                    flip=context.task.flip,
                    execution=context.execution,
                ),
                after_step=lambda progress: context.listener(Advanced(PHASE, 100 * progress)),
                stream=self._features.stream("train", samples_of(self.training, len(train))),
                checkpoint=CandidatesCheckpoint(checkpoint, [self._key(each) for each in placed]),
            )
            self.samples += report.samples
            context.listener(Finished(PHASE, f"{len(placed)} branch{'es' if len(placed) > 1 else ''}"))
        logits = {
            name: candidate_logits(
                candidates,
                split,
                with_final=keep_final,
                stream=self._features.stream(name, len(split)) if placed else None,
            )
            for name, split in self._splits.items()
        }
        for index, each in enumerate(placed):
            if index not in report.diverged:
                own = {name: values[:, index] for name, values in logits.items()}
                weights = candidates.branches[index].state_dict()
                self._keep(self._key(each), each.cut_point, each.branch, weights, own, report.samples)
        if keep_final:
            self._keep(self._final_key, _FINAL, None, {}, {name: values[:, -1] for name, values in logits.items()}, 0)
        if placed:
            checkpoint.remove()
        if report.diverged:
            bad = placed[report.diverged[0]]
            raise DivergedError(
                f"the loss of {bad.branch.label()} at {bad.cut_point} on the frozen backbone is not finite; "
                "remove the structure from the search space"
            )

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of branch training, used until the branches are in the bank."""
        path = self._context.artifacts.root / f"bank-{digest(self.conditions)}.checkpoint.pt"
        return Checkpoint(path, paced=True, check=self._context.limit.check)

    @cached_property
    def _features(self) -> BankFeatures:
        return BankFeatures(self._context, self.conditions)

    def _keep(
        self,
        key: str,
        cut_point: str,
        branch: Branch | None,
        weights: Mapping[str, Any],
        logits: Mapping[str, NDArray[np.float32]],
        samples: int,
    ) -> None:
        """Write the artifact, then the row, so every row has a whole artifact. The first of two workers wins."""
        context = self._context
        state = {_WEIGHTS + name: value for name, value in weights.items()}
        state |= {_LOGITS + name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in logits.items()}
        name = f"branch-{key}-{uuid4().hex[:8]}.safetensors"
        record = BankRecord(
            key=key,
            backbone=self.backbone,
            cut_point=cut_point,
            branch={} if branch is None else branch.to_table(),
            task=context.task.digest,
            samples=samples,
            artifact=context.artifacts.write(name, lambda path: write_state(state, path)),
        )
        if not self._records.add(record):
            context.artifacts.remove(record.artifact)

    def _held(self, record: BankRecord, prefix: str) -> dict[str, Any]:
        """Return the tensors of an artifact with names that begin with `prefix`, by the rest of the name."""
        return read_state(self._context.artifacts.unverified_path(record.artifact), prefix)
