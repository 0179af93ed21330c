"""Weights: containers, prefixes, safety, errors that name keys, and hosts that do not answer."""

import socket
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from eenas.backbones.weights.weights import check_reachable, load_weights, read_weights
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
    state |= {f"1.extra{index}": torch.zeros(1) for index in range(5)}
    with pytest.raises(WeightsError) as caught:
        load_weights(target, state, classifier=("4",), source="w.pth")
    message = str(caught.value)
    assert "\n" not in message
    assert "1 missing (1.running_mean)" in message
    assert "5 unexpected (1.extra0, 1.extra1, 1.extra2 and 2 more)" in message
    assert "1 of another shape (0.weight [5, 3, 5, 5] for [5, 3, 3, 3])" in message
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


def test_a_classifier_that_differs_in_more_than_classes_is_an_error() -> None:
    state = dict(model().state_dict()) | {"4.weight": torch.zeros(4, 6)}
    with pytest.raises(WeightsError, match=r"4\.weight \[4, 6\] for \[4, 5\]"):
        load_weights(model(), state, classifier=("4",), source="w.pth")
    half = {key: value for key, value in model().state_dict().items() if key != "4.bias"}
    with pytest.raises(WeightsError, match=r"1 missing \(4\.bias\)"):
        load_weights(model(), half, classifier=("4",), source="w.pth")


def heard(target: nn.Module, state: dict[str, torch.Tensor], classifier: tuple[str, ...] = ("4",)) -> list[str]:
    notices: list[str] = []
    load_weights(target, state, classifier=classifier, source="w", listener=lambda event: notices.append(event.text))  # type: ignore[union-attr]
    return notices


def test_what_stands_beside_the_model_is_left_out_and_said() -> None:
    source, target = model(), model()
    state = {f"net.backbone.{key}": value for key, value in source.state_dict().items()}
    state |= {"metric.total": torch.zeros(1), "loss.weight": torch.ones(4), "net.projector.weight": torch.ones(2, 2)}
    state |= {"net.backbone.total_ops": torch.zeros(1), "net.backbone.0.total_params": torch.zeros(1)}
    (said,) = heard(target, state)
    assert said.startswith("weights w: left out 5 that are not in the model (net.backbone.0.total_params, ") or (
        said.startswith("weights w: left out 5 that are not in the model (net.backbone.total_ops, ")
    )
    assert same(source, target)


def test_a_file_of_a_deeper_model_of_the_same_names_is_refused() -> None:
    def stage(blocks: int) -> nn.Module:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer1 = nn.Sequential(*(nn.Linear(3, 3) for _ in range(blocks)))
                self.fc = nn.Linear(3, 4)

        return Net()

    with pytest.raises(WeightsError, match=r"2 unexpected \(layer1.1.weight, layer1.1.bias\)"):
        load_weights(stage(1), stage(2).state_dict(), classifier=("fc",), source="w")
    deeper = dict(nn.Sequential(*model(), nn.Linear(4, 4)).state_dict())
    with pytest.raises(WeightsError, match=r"2 unexpected \(5.weight, 5.bias\)"):
        load_weights(model(), deeper, classifier=("4",), source="w")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_cast_and_said(dtype: torch.dtype) -> None:
    source, target = model(), model()
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in source.state_dict().items()}
    (said,) = heard(target, state)
    assert said == f"weights w: {str(dtype)[6:]} was cast to the dtype of the model"
    assert target[0].weight.dtype == torch.float32
    torch.testing.assert_close(target[0].weight, source[0].weight, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("kind", ["whole numbers", "sparse"])
def test_tensors_of_another_kind_are_refused(kind: str) -> None:
    value = torch.ones(5, 3, 3, 3)
    value = value.to_sparse() if kind == "sparse" else value.to(torch.int8)
    with pytest.raises(WeightsError, match=r"1 of another type \(0.weight"):
        load_weights(model(), {**model().state_dict(), "0.weight": value}, classifier=("4",), source="w")


def test_a_classifier_of_another_size_and_a_head_that_is_new_are_said() -> None:
    (said,) = heard(model(4), dict(model(9).state_dict()))
    assert (
        said == "weights w: they are for 9 classes, the model has 4; the classifier starts untrained (4.bias, 4.weight)"
    )
    deep = nn.ModuleDict({"body": model(6), "head": nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))})
    body = {key: value for key, value in deep.state_dict().items() if key.startswith("body.")}
    (said,) = heard(deep, body, ("head.2",))
    assert said == (
        "weights w: they hold no classifier for this model; the classifier starts untrained "
        "(head.0.bias, head.0.weight, head.2.bias and 1 more)"
    )
    with pytest.raises(WeightsError, match=r"2 missing \(head.0.weight, head.0.bias\)"):
        load_weights(
            deep,
            {**body, "head.2.weight": torch.ones(4, 6), "head.2.bias": torch.ones(4)},
            classifier=("head.2",),
            source="w",
        )


def test_buffers_that_are_not_learned_may_be_missing_and_are_said() -> None:
    target = model()
    target.register_buffer("mean", torch.zeros(3))
    assert heard(target, dict(model().state_dict())) == [
        "weights w: 1 were not found and keep their initial values (mean)"
    ]


@pytest.mark.parametrize("averaged", ["model_ema.", "ema.module.", "ema_model.", "averaged_model."])
def test_of_two_the_averaged_one_is_taken_and_said(averaged: str) -> None:
    source, target = model(), model()
    state = {f"model.{key}": torch.zeros_like(value) for key, value in source.state_dict().items()}
    state |= {averaged + key: value for key, value in source.state_dict().items()}
    said = heard(target, state)
    assert said[0] == (
        f"weights w: loaded the averaged weights below {averaged!r}, not those below 'model.'; "
        "to load the latter, save them alone"
    )
    assert same(source, target)


def test_two_of_which_none_is_averaged_are_for_the_user_to_choose() -> None:
    state = {f"{name}.{key}": value for name in ("semantic", "depth") for key, value in model().state_dict().items()}
    with pytest.raises(WeightsError, match=r"hold this model 2 times \(depth\., semantic\.\); save one of them alone"):
        load_weights(model(), state, classifier=("4",), source="w")


def test_a_file_of_quite_another_model_is_one_line() -> None:
    with pytest.raises(
        WeightsError, match=r"do not fit: they hold a.b, c\?, the model 0.weight, 0.bias, 1.weight and"
    ) as caught:
        load_weights(model(), {"a.b": torch.ones(2), "c\n": torch.ones(1)}, classifier=("4",), source="w")
    assert "\n" not in str(caught.value)


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


def test_a_classifier_of_another_number_in_the_bias_alone_is_refused() -> None:
    state = dict(model().state_dict())
    state["4.bias"] = torch.zeros(7)
    with pytest.raises(WeightsError, match=r"1 of another shape \(4\.bias \[7\] for \[\d+\]\); give a file of this"):
        load_weights(model(), state, classifier=("4",), source="w")


def test_the_number_of_classes_that_is_said_is_the_files() -> None:
    state = dict(model().state_dict())
    state["4.bias"], state["4.weight"] = torch.zeros(7), torch.zeros(7, *state["4.weight"].shape[1:])
    assert heard(model(), state)[0].startswith("weights w: they are for 7 classes, the model has ")


def test_variances_below_zero_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    state = dict(module.state_dict())
    state["1.running_var"] = torch.tensor([1.0, -1.0, 1.0, 1.0])
    with pytest.raises(WeightsError, match=r"hold variances below 0 \(1\.running_var\); give"):
        load_weights(module, state, classifier=("3",), source="w")


@pytest.mark.parametrize(
    ("change", "kind"),
    [(lambda value: value.to("meta"), "without numbers"), (lambda value: value.to_sparse(), "sparse_coo")],
)
def test_tensors_that_are_no_plain_ones_are_called_so(change: Callable[[Tensor], Tensor], kind: str) -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    state = {**module.state_dict(), "0.weight": change(torch.ones(2, 2))}
    with pytest.raises(WeightsError, match=rf"1 of another type \(0.weight {kind}\)"):
        load_weights(module, state, classifier=(), source="w")
