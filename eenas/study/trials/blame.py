"""The cause of a failed trial: the design, the machine or the storage."""

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
"""The share of a device's memory above which other processes count as holding memory."""


@dataclass(frozen=True)
class Blame:
    """A cause other than the design: its error, and the mark of the trial as cut off."""

    error: EenasError
    cut_off: str


def blame(error: Exception, context: StudyContext) -> Blame | None:
    """Return the cause of `error`, or None if it is the design.

    On a CPU, the machine is to blame for lack of memory, which depends on limits and other programs. On an accelerator
    the design is, unless the plain backbone cannot be trained there either or other processes hold memory.
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
    """Return the StorageError behind `error`, or None if the storage did not cause it."""
    for each in causes(error):
        if isinstance(each, StorageError):
            return each
        if isinstance(each, StorageInternalError) or database.caused(each):
            return database.to_storage_error(each)
    return None


@contextmanager
def storage_faults(database: Database) -> Iterator[None]:
    """Convert errors of Optuna, SQLAlchemy and drivers inside the block to a one-line StorageError."""
    try:
        yield
    except EenasError:
        raise
    except Exception as error:
        if (trouble := storage_trouble(error, database)) is None:
            raise
        raise trouble from error


def free_memory() -> None:
    """Free unreferenced memory, including that on the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def plain_step_fits(context: StudyContext) -> bool:
    """Whether a training step of the plain backbone currently fits in memory."""
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
