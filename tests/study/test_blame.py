"""Whose fault lack of memory is: the machine's on a CPU; on an accelerator the design's, unless others are to blame."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch

import eenas.study.trials.blame as module
from eenas.errors import DivergedError, MachineError, OutOfMemoryError, StorageError
from eenas.records.database import Database
from eenas.study.study import DIED, STOPPED
from eenas.study.trials.blame import Blame, blame, storage_faults

CPU = torch.device("cpu")
LACK = OutOfMemoryError("out of memory with batch_size=16; set a smaller one")


@dataclass
class StudyContext:
    """What blame asks of a context."""

    device: torch.device = CPU
    database: Database = field(default_factory=lambda: Database("sqlite://"))


def on_cuda(monkeypatch: pytest.MonkeyPatch, *, fits: bool, others: int) -> Any:
    card = SimpleNamespace(
        mem_get_info=lambda device: (8 * 2**30, 80 * 2**30),
        memory_reserved=lambda device: (72 - others) * 2**30,
        is_available=lambda: True,
    )
    monkeypatch.setattr(module.torch, "cuda", card)
    monkeypatch.setattr(module, "plain_step_fits", lambda context: fits)
    return StudyContext(torch.device("cuda:0"))


def test_lack_of_memory_on_a_cpu_stops_the_study() -> None:
    found = blame(LACK, StudyContext())
    assert isinstance(found, Blame)
    assert isinstance(found.error, MachineError)
    assert found.cut_off == STOPPED


@pytest.mark.parametrize(("fits", "others", "design"), [(True, 0, True), (False, 0, False), (True, 40, False)])
def test_lack_of_memory_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, fits: bool, others: int, design: bool
) -> None:
    assert (blame(LACK, on_cuda(monkeypatch, fits=fits, others=others)) is None) == design


def test_the_storage_is_blamed_for_what_it_says_and_a_lost_device_like_a_death() -> None:
    full = optuna.exceptions.StorageInternalError("database or disk is full")
    found = blame(full, StudyContext())
    assert found is not None
    assert isinstance(found.error, StorageError)
    assert "free space" in str(found.error)
    lost = blame(RuntimeError("CUDA error: device-side assert triggered"), StudyContext())
    assert lost is not None
    assert lost.cut_off == DIED
    assert blame(DivergedError("the loss is not finite"), StudyContext()) is None


def test_what_optuna_says_of_the_storage_is_one_line() -> None:
    with pytest.raises(StorageError, match="free space"), storage_faults(Database("sqlite://")):
        raise optuna.exceptions.StorageInternalError("database or disk is full\nmore of it")
    with pytest.raises(KeyError), storage_faults(Database("sqlite://")):
        raise KeyError("x")
