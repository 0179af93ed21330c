"""Commands that are killed at any write go on to the result of a run that nobody cut off."""

import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import pytest

from eenas import files
from eenas.deployment.calibration import calibrate
from eenas.deployment.export import export
from eenas.programs.manifest import MANIFEST
from eenas.results.choice import Choice
from eenas.runs.full_training import train
from eenas.runs.run_report import CHECKPOINT, DESIGN, WEIGHTS
from eenas.testing.smallest import smallest_task
from tests.smallest_study import backbone, run_search, url

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def killed(work, at):
    """Do `work` in a process that gets `kill -9` while it writes its `at`-th file, as soon as that is on the disk."""
    process = os.fork()
    if process == 0:
        written, real = [], os.fsync

        def fsync(handle):
            real(handle)
            written.append(handle)
            if len(written) == at:
                os.kill(os.getpid(), signal.SIGKILL)

        files.os.fsync = fsync
        try:
            work()
        except BaseException:
            traceback.print_exc()  # of a process that ends without a word
        finally:
            sys.stderr.flush()
            os._exit(1)
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(ended[1]) == -signal.SIGKILL


def test_a_search_a_training_and_an_export_that_were_killed_end_as_uncut(smallest_study, finished_run, tmp_path):
    storage, run, network = url(tmp_path), tmp_path / "run", tmp_path / "network"

    def searched():
        return run_search(tmp_path, trials=4)

    def trained():
        choice = Choice(design_file=finished_run.folder / DESIGN)
        return train(storage, choice=choice, out=run, backbone=backbone(), task=smallest_task(), device="cpu")

    def exported():
        return export(network, run=run, backbone=backbone())

    for at in (2, 6):  # in preparation, and while the bank is filled
        killed(searched, at)
    found = searched()
    whole = smallest_study.results
    assert [each.exit_accuracy for each in found.trials] == [each.exit_accuracy for each in whole.trials]
    assert found.backbone.accuracy == whole.backbone.accuracy
    killed(trained, 4)  # the first checkpoint, behind three small files
    assert not (run / CHECKPOINT).exists()
    trained()
    assert (run / WEIGHTS).read_bytes() == (finished_run.folder / WEIGHTS).read_bytes()
    killed(exported, 2)
    assert not network.exists()
    exported()
    assert (network / WEIGHTS).read_bytes() == (run / WEIGHTS).read_bytes()
    assert left(tmp_path) == []


def test_a_recalibration_that_was_killed_leaves_the_model_and_is_done_again(exported, tmp_path):
    model = Path(shutil.copytree(exported, tmp_path / "model"))
    before = (model / MANIFEST).read_bytes()
    killed(lambda: calibrate(model, smallest_task(), max_accuracy_drop=0.3), 2)
    assert (model / MANIFEST).read_bytes() == before
    calibrate(model, smallest_task(), max_accuracy_drop=0.3)
    assert "calibrated_on" in json.loads((model / MANIFEST).read_text())["measured"]
    assert left(tmp_path) == []


def left(folder):
    """What is left half-written when the next command has looked after it."""
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        files.remove_stale(place, again=True)
    return [path.name for path in folder.rglob("*") if files.is_temporary(path.name) or path.suffix == ".pt"]
