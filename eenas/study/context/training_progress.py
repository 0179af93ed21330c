"""Reports on the progress of a training to a listener."""

from collections.abc import Iterator
from contextlib import contextmanager

from eenas.progress import Advanced, Finished, Listener, Notice, Started
from eenas.training.checkpoints import Checkpoint
from eenas.training.trainer import AfterEpoch, RoundReport, Verdict


@contextmanager
def progress_reports(phase: str, listener: Listener, checkpoint: Checkpoint) -> Iterator[AfterEpoch]:
    """Report a training to `listener` inside the block. Yield the function to call after each epoch.

    The phase is reported as finished at the end of the block, unless the block raises.
    """
    listener(Started(phase, 100))
    if checkpoint.path.exists():
        listener(Notice(f"{phase}: resuming from {checkpoint.path}"))

    def after_epoch(report: RoundReport) -> Verdict:
        listener(Advanced(phase, 100 * report.progress, f"loss {report.loss:.3f}"))
        return Verdict.CONTINUE

    yield after_epoch
    listener(Finished(phase))
