"""Weights: containers, prefixes, safety, errors that name keys, and hosts that do not answer."""

import os
import socket
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eenas.backbones.weights import check_reachable, find_weights, load_weights, read_weights
from eenas.errors import WeightsError


def model(classes: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, classes)
    )


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def load(target: nn.Module, path: Path) -> bool:
    return load_weights(target, read_weights(path), classifier=("4",), source=str(path))


@pytest.mark.parametrize("container", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.model."])
def test_containers_and_prefixes(tmp_path: Path, container: str | None, prefix: str) -> None:
    source, target = model(), model()
    state: dict[str, Any] = {prefix + key: value for key, value in source.state_dict().items()}
    torch.save(state if container is None else {"epoch": 3, container: state}, tmp_path / "w.pth")
    assert load(target, tmp_path / "w.pth")
    assert same(source, target)


def test_safetensors(tmp_path: Path) -> None:
    source, target = model(), model()
    save_file(dict(source.state_dict()), tmp_path / "w.safetensors")
    assert load(target, tmp_path / "w.safetensors")
    assert same(source, target)


def test_counters_of_old_files_may_be_missing(tmp_path: Path) -> None:
    state = {key: value for key, value in model().state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.pth")
    assert load(model(), tmp_path / "w.pth")


@pytest.mark.parametrize("headless", [False, True])
def test_a_classifier_for_other_classes_stays_fresh(tmp_path: Path, headless: bool) -> None:
    source, target = model(9), model(4)
    before = target[4].weight.clone()
    state = {key: value for key, value in source.state_dict().items() if not (headless and key.startswith("4."))}
    torch.save(state, tmp_path / "w.pth")
    assert not load(target, tmp_path / "w.pth")
    assert torch.equal(target[4].weight, before)
    assert torch.equal(target[0].weight, source[0].weight)


def test_errors_name_a_few_keys_of_each_kind_and_change_nothing() -> None:
    target = model()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = dict(model().state_dict())
    state["0.weight"] = torch.zeros(5, 3, 5, 5)
    del state["1.running_mean"]
    state |= {f"extra{index}": torch.zeros(1) for index in range(5)}
    with pytest.raises(WeightsError) as caught:
        load_weights(target, state, classifier=("4",), source="w.pth")
    message = str(caught.value)
    assert "\n" not in message
    assert "1 missing (1.running_mean)" in message
    assert "5 unexpected (extra0, extra1, extra2 and 2 more)" in message
    assert "1 of another shape (0.weight [5, 3, 5, 5] for [5, 3, 3, 3])" in message
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


def test_a_classifier_that_differs_in_more_than_classes_is_an_error() -> None:
    state = dict(model().state_dict()) | {"4.weight": torch.zeros(4, 6)}
    with pytest.raises(WeightsError, match=r"4\.weight \[4, 6\] for \[4, 5\]"):
        load_weights(model(), state, classifier=("4",), source="w.pth")
    half = {key: value for key, value in model().state_dict().items() if key != "4.bias"}
    with pytest.raises(WeightsError, match=r"1 missing \(4\.bias\)"):
        load_weights(model(), half, classifier=("4",), source="w.pth")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def test_code_in_a_file_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil()}, "evil.pth")
    with pytest.raises(WeightsError, match="whose code eenas never runs"):
        read_weights(Path("evil.pth"))
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 torn"])
def test_broken_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"epoch": 3}, {"state_dict": {"a": 1}}, [torch.zeros(2)]])
def test_files_without_a_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="not a state dict"):
        read_weights(tmp_path / "w.pth")


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "here.pth").touch()
    (tmp_path / "studies" / "there.pth").touch()
    assert find_weights("there.pth", tmp_path / "studies") == tmp_path / "studies" / "there.pth"
    assert find_weights("here.pth", tmp_path / "studies") == Path("here.pth")
    with pytest.raises(WeightsError, match="nearest: 'pretrained'"):
        find_weights("pretraind")
    with pytest.raises(WeightsError, match="no such file"):
        find_weights("there.pth")


def test_unreachable_host_is_named_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(WeightsError, match=rf"net: .*http://127.0.0.1:{port}/w could not be reached .*--weights PATH"):
        check_reachable(f"http://127.0.0.1:{port}/w", "net")


def test_a_host_that_answers_with_an_error_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: Any, timeout: float) -> Any:
        raise urllib.error.HTTPError(request.full_url, 404, "not here", {}, None)  # type: ignore[arg-type]

    monkeypatch.setattr("urllib.request.urlopen", answer)
    check_reachable("https://example.invalid/w", "net")
