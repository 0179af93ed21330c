"""The progress of one training, told to a listener."""

from collections.abc import Iterator
from contextlib import contextmanager

from eenas.progress import Advanced, Finished, Listener, Notice, Started
from eenas.training.checkpoints import Checkpoint
from eenas.training.trainer import AfterEpoch, RoundReport, Verdict


@contextmanager
def told(phase: str, listener: Listener, checkpoint: Checkpoint) -> Iterator[AfterEpoch]:
    """Tell `listener` of a training inside the block, which calls the function it gets after each epoch.

    The phase is finished at the end of the block, and not where the block raises.
    """
    listener(Started(phase, 100))
    if checkpoint.path.exists():
        listener(Notice(f"{phase}: resuming from {checkpoint.path}"))

    def after_epoch(report: RoundReport) -> Verdict:
        listener(Advanced(phase, 100 * report.progress, f"loss {report.loss:.3f}"))
        return Verdict.CONTINUE

    yield after_epoch
    listener(Finished(phase))
