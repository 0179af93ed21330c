"""What a listener hears of a training: its beginning, where it goes on, each epoch, and its end if it has one."""

from types import SimpleNamespace

import pytest

from eenas.progress import Advanced, Finished, Notice, Started
from eenas.study.context.training_progress import progress_reports
from eenas.training.checkpoints import Checkpoint
from eenas.training.trainer import Verdict


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "state.pt")


def test_a_training_is_told_from_its_beginning_to_its_end(checkpoint):
    heard = []
    with progress_reports("training", heard.append, checkpoint) as after_epoch:
        assert after_epoch(SimpleNamespace(progress=0.25, loss=1.5)) is Verdict.CONTINUE
    assert heard == [Started("training", 100), Advanced("training", 25.0, "loss 1.500"), Finished("training")]


def test_one_that_goes_on_says_from_where_and_one_that_fails_has_no_end(checkpoint):
    checkpoint.path.write_bytes(b"")
    heard = []
    with pytest.raises(ValueError, match="enough"), progress_reports("training", heard.append, checkpoint):
        raise ValueError("enough")
    assert heard == [Started("training", 100), Notice(f"training: resuming from {checkpoint.path}")]
