"""Devices by name, and what is said about those that are not there."""

import pytest
import torch

from eenas.errors import DeviceError
from eenas.measurement.devices import device_name, resolve_device


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


@pytest.mark.usefixtures("no_accelerator")
def test_auto_is_the_cpu_where_nothing_else_is() -> None:
    assert resolve_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(DeviceError, match=rf"device '{name}' is not available; use one of cpu$"):
            resolve_device(name)


@pytest.mark.usefixtures("two_cards")
def test_cuda_has_its_index() -> None:
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda", 1)
    assert resolve_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(DeviceError, match=r"'cuda:7' is not available; use one of cpu, cuda:0, cuda:1"):
        resolve_device("cuda:7")


@pytest.mark.parametrize("name", ["gpu", "cudda", "cuda:x", "", "cuda:", "auto:1"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(DeviceError, match=r"unknown device .*; give auto, cpu, cuda, mps or cuda:INDEX"):
        resolve_device(name)


def test_the_cpu_is_named() -> None:
    assert device_name(torch.device("cpu")).startswith("CPU: ")
    assert device_name(torch.device("cpu"), 1).endswith(", 1 thread")
    assert device_name(torch.device("cpu"), 2).endswith(", 2 threads")
