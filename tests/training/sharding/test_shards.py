"""Checkpoints of divided trainings: resumed with any number of processes, whole or not at all, after a kill too."""

import json
import shutil

import numpy as np
import pytest
import torch

from eenas.errors import StorageError
from eenas.training.checkpoints import STATE, Checkpoint
from eenas.training.process_group import ProcessGroup
from eenas.training.sharding.shards import remove_shards, shard_folders
from tests.training.sharding.test_division import CLOSE, flat
from tests.training.sharding.trainings import train, under_torchrun

CHOICE = {"strategy": "joint", "optimizer": "adamw", "learning_rate": 0.003, "weight_average": 0.5}
UNCERTAIN = {"strategy": "distillation", "loss_weights": "uncertainty"}
TIMES = {"epochs": 3}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of trainings that were stopped after their second round: divided over two processes, and whole."""
    folder = tmp_path_factory.mktemp("stopped")
    begun = [
        {"choice": choice, "path": str(folder / f"{name}.pt"), "sharding": sharding, "stop": 2, **TIMES}
        for choice, name, sharding in (
            (CHOICE, "divided", "fsdp"),
            (UNCERTAIN, "uncertain", "fsdp"),
            (CHOICE, "whole", "none"),
        )
    ]
    under_torchrun(folder / "run", begun)
    return folder


@pytest.fixture(scope="module")
def resumed(stopped, tmp_path_factory):
    """The same trainings, resumed by three processes."""
    folder = tmp_path_factory.mktemp("resumed") / "copy"
    shutil.copytree(stopped, folder)
    again = [
        {"choice": choice, "path": str(folder / f"{name}.pt"), "sharding": sharding, **TIMES}
        for choice, name, sharding in (
            (CHOICE, "divided", "fsdp"),
            (UNCERTAIN, "uncertain", "none"),
            (CHOICE, "whole", "fsdp"),
        )
    ]
    return under_torchrun(folder / "run", again, processes=3)


def test_the_state_lies_in_shards_that_the_file_names(stopped):
    path = stopped / "divided.pt"
    (folder,) = shard_folders(path)
    state = torch.load(path, weights_only=True)
    assert state["shards"] == folder.name
    assert len(list(folder.glob("*.safetensors"))) == 2, "each process writes its part"
    assert not any(isinstance(each, torch.Tensor) for each in state["network"].values())
    assert shard_folders(stopped / "whole.pt") == []


@pytest.mark.parametrize(("number", "choice"), [(0, CHOICE), (1, UNCERTAIN), (2, CHOICE)])
def test_another_number_of_processes_goes_on_where_it_stopped(resumed, number, choice):
    alone = train(ProcessGroup(), choice, **TIMES)
    for found in resumed[number]:
        assert found["resumed"]
        assert found["samples"] == alone["samples"]
        assert len(found["losses"]) == len(alone["losses"])
        assert np.abs(flat(found) - flat(alone)).max() < CLOSE


@pytest.mark.parametrize(("name", "choice"), [("divided", CHOICE), ("uncertain", UNCERTAIN)])
def test_one_process_goes_on_with_a_divided_state(stopped, tmp_path, name, choice):
    alone = train(ProcessGroup(), choice, **TIMES)
    shutil.copytree(stopped, tmp_path / "copy")
    path = tmp_path / "copy" / f"{name}.pt"
    found = train(ProcessGroup(), choice, path=path, **TIMES)
    assert found["resumed"]
    assert shard_folders(path) == [], "the next checkpoint, a whole one, replaces the shards"
    assert np.abs(flat(found) - flat(alone)).max() < CLOSE


@pytest.mark.parametrize("damage", ["missing", "cut", "lost"])
def test_shards_that_are_not_whole_are_refused_in_one_line(stopped, tmp_path, damage):
    path = tmp_path / "divided.pt"
    (source,) = shard_folders(stopped / "divided.pt")
    state = torch.load(stopped / "divided.pt", weights_only=True)
    folder = tmp_path / state["shards"]
    torch.save(state, path)
    if damage != "missing":
        folder.mkdir()
        for file in source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        last = max(folder.iterdir())
        if damage == "cut":
            last.write_bytes(last.read_bytes()[:-100])
        else:
            last.unlink()
    with pytest.raises(StorageError, match=r"cannot be read .*all nodes share") as caught:
        Checkpoint(path).load(STATE)
    assert "\n" not in str(caught.value)


def test_a_folder_that_no_file_names_does_not_count(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.pt")
    (tmp_path / ".state.pt-shards-7").mkdir()
    (tmp_path / ".other.pt-shards-7").mkdir()
    assert checkpoint.load(STATE) is None
    remove_shards(checkpoint.path, keep=".state.pt-shards-7")
    assert len(shard_folders(checkpoint.path)) == 1
    checkpoint.remove()
    assert shard_folders(checkpoint.path) == []
    assert len(shard_folders(tmp_path / "other.pt")) == 1


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_a_killed_process_leads_to_a_restart_from_the_checkpoint_and_the_same_result(tmp_path, sharding):
    path = tmp_path / "state.pt"
    begun = {"choice": CHOICE, "path": str(path), "sharding": sharding, "kill": 3, **TIMES}
    elastic = ("--nnodes", "1:2", "--max-restarts", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0")
    options = (*elastic, "--rdzv-conf", "last_call_timeout=1")
    ((first, second),) = under_torchrun(tmp_path / "run", [begun], 2, *options)
    alone = train(ProcessGroup(), CHOICE, **TIMES)
    assert json.loads(json.dumps(first)) == first
    assert (first["restarts"], first["resumed"]) == (second["restarts"], second["resumed"]) == (1, True)
    assert first["samples"] == alone["samples"]
    assert np.abs(flat(first) - flat(alone)).max() < CLOSE
