"""Whose fault a failed trial is: the design's, the machine's, the storage's, or nobody's."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from optuna.exceptions import StorageInternalError

from eenas.errors import EenasError, StorageError
from eenas.faults import causes, is_device_failure, is_memory_shortage, machine_fault
from eenas.records.database import Database
from eenas.study.context.study_context import StudyContext
from eenas.study.study import DIED, STOPPED

_OTHERS = 0.02
"""Other processes hold memory of a device where they have more than this share of it."""


@dataclass(frozen=True)
class Blame:
    """A fault that is not the design's: its error, and how the trial counts as cut off."""

    error: EenasError
    cut_off: str


def blame(error: Exception, context: StudyContext) -> Blame | None:
    """Who else is at fault for `error`; None where the design is.

    Lack of memory is the machine's on a CPU, where limits and other programs decide about it. On an accelerator it is
    the design's, unless the plain backbone cannot be trained there now either, or other processes hold memory of it.
    """
    if (trouble := storage_trouble(error, context.database)) is not None:
        return Blame(trouble, STOPPED)
    fault = machine_fault(error)
    if fault is None:
        return None
    if any(map(is_device_failure, causes(error))):
        return Blame(fault, DIED)
    if not any(map(is_memory_shortage, causes(error))):
        return Blame(fault, STOPPED)
    too_large = context.device.type == "cuda" and plain_step_fits(context) and not _others_hold_memory(context.device)
    return None if too_large else Blame(fault, STOPPED)


def storage_trouble(error: BaseException, database: Database) -> StorageError | None:
    """What `error` says of the storage, None where it follows from no failure of it."""
    for each in causes(error):
        if isinstance(each, StorageError):
            return each
        if isinstance(each, StorageInternalError) or database.caused(each):
            return database.to_storage_error(each)
    return None


@contextmanager
def storage_faults(database: Database) -> Iterator[None]:
    """Raise what Optuna, SQLAlchemy and drivers raise inside the block as a StorageError of one line."""
    try:
        yield
    except EenasError:
        raise
    except Exception as error:
        if (trouble := storage_trouble(error, database)) is None:
            raise
        raise trouble from error


def free_memory() -> None:
    """Let go of what nobody refers to, on the device too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def plain_step_fits(context: StudyContext) -> bool:
    """Whether the plain backbone can be trained on a batch now."""
    free_memory()
    try:
        module = context.build(context.plain_design()).train()
        batch = context.settings.training.batch_for(len(context.task.train))
        x = context.execution.place(context.backbone.example(batch).to(context.device))
        with context.execution.precision(context.device):
            logits = module(x)[-1]
        if logits.requires_grad:
            logits.float().square().mean().backward()
    except (RuntimeError, MemoryError) as error:
        if not is_memory_shortage(error):
            raise
        return False
    return True


def _others_hold_memory(device: torch.device) -> bool:
    free, total = torch.cuda.mem_get_info(device)
    return total - free - torch.cuda.memory_reserved(device) > max(_OTHERS * total, 2**30)
