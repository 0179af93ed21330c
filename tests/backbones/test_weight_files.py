"""Files of weights: what training loops write, told apart by content; code in them never runs."""

import argparse
import codecs
import io
import json
import os
import pathlib
import shutil
import warnings
import zipfile
from collections import OrderedDict
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from eenas.backbones.weights.weight_files import find_weights, read_weights
from eenas.errors import WeightsError

from ..fuzzing import check_one_line, examples, mutated_bytes


class AttributeDict(dict):  # as Lightning keeps settings
    pass


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5))


def state(factor: float = 1.0) -> dict[str, Any]:
    return OrderedDict((key, value * factor) for key, value in net().state_dict().items())


def read(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    notices: list[str] = []
    return read_weights(path, lambda event: notices.append(event.text)), notices  # type: ignore[union-attr]


def is_state(found: dict[str, torch.Tensor], factor: float = 1.0, prefix: str = "") -> bool:
    expected = state(factor)
    return all(torch.equal(found[prefix + key], value) for key, value in expected.items())


TIMM = {
    "epoch": 3,
    "arch": "resnet50",
    "state_dict": state(),
    "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    "version": 2,
    "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.99), data=pathlib.PurePosixPath("/data")),
    "amp_scaler": {"scale": 65536.0},
    "metric": np.float64(81.2),
}
LIGHTNING = {
    "epoch": 1,
    "pytorch-lightning_version": "2.4.0",
    "state_dict": {f"net.{key}": value for key, value in state().items()} | {"metric.total": torch.zeros(1)},
    "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.3)}},
    "hyper_parameters": AttributeDict(lr=0.1, path=pathlib.PurePosixPath("x"), kind=np.dtype("float32")),
    "loops": {},
}


def test_timms_own_format_is_read_with_its_settings_left_alone(tmp_path: Path) -> None:
    torch.save(TIMM, tmp_path / "last.pth.tar")
    found, notices = read(tmp_path / "last.pth.tar")
    assert is_state(found)
    assert not notices


def test_lightnings_format(tmp_path: Path) -> None:
    torch.save(LIGHTNING, tmp_path / "last.ckpt")
    assert is_state(read(tmp_path / "last.ckpt")[0], prefix="net.")


def test_files_from_before_zip(tmp_path: Path) -> None:
    torch.save(TIMM, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert is_state(read(tmp_path / "old.pth")[0])


@pytest.mark.parametrize(
    ("content", "taken", "other"),
    [
        ({**TIMM, "state_dict_ema": state(2)}, "state_dict_ema", "state_dict"),
        ({"model": state(), "model_ema": {"module": state(2), "decay": 0.99}}, "model_ema", "model"),
        ({"model": state(), "ema": {"module": state(2), "updates": 7}, "args": argparse.Namespace()}, "ema", "model"),
        ({"params": state(), "params_ema": state(2)}, "params_ema", "params"),
    ],
)
def test_averaged_weights_are_taken_and_said(tmp_path: Path, content: Any, taken: str, other: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    found, (said,) = read(tmp_path / "w.pth")
    assert is_state(found, 2)
    assert f"loaded the averaged weights in {taken}, not {other}; to load {other}, save it alone" in said


@pytest.mark.parametrize(
    "content",
    [
        {"module": state(), "optimizer": {"state": {}, "param_groups": []}},
        {"epoch": torch.tensor(3), "checkpoint": {"model": {"state_dict": state()}}},
        {"my_model": state(), "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": [0]}},
        {**state(), "epoch": 3, "note": "by hand"},
    ],
)
def test_a_model_under_other_names(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert is_state(read(tmp_path / "w.pth")[0])


def test_several_models_are_for_the_user_to_choose(tmp_path: Path) -> None:
    torch.save({"student": state(), "teacher": state(), "epoch": 1}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"holds 2 state dicts \(student, teacher\); save one of them alone"):
        read(tmp_path / "w.pth")


def test_safetensors_with_metadata_under_any_name(tmp_path: Path) -> None:
    save_file(dict(state()), tmp_path / "model.safetensors", metadata={"format": "pt", "step": "3"})
    shutil.copy(tmp_path / "model.safetensors", tmp_path / "model.bin")
    assert is_state(read(tmp_path / "model.safetensors")[0])
    assert is_state(read(tmp_path / "model.bin")[0])
    torch.save(state(), tmp_path / "torch.safetensors")
    assert is_state(read(tmp_path / "torch.safetensors")[0])


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.found = function, arguments

    def __reduce__(self) -> Any:
        return self.found


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("call", [(os.mkdir, "ran"), (exec, "open('ran', 'w')"), (pathlib.Path.touch, Path("ran"))])
def test_code_in_a_file_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, call: Any) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil(*call)}, "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="whose code eenas never runs"):
        read_weights(Path("evil.pth"))
    torch.save({"state_dict": state(), "args": Evil(*call)}, "beside.pth", _use_new_zipfile_serialization=zipped)
    blocked = call[0] is not exec  # nothing of posix is read, and no method of a class
    with pytest.raises(WeightsError, match="never runs") if blocked else nullcontext():
        assert is_state(read_weights(Path("beside.pth")))
    assert not Path("ran").exists()


def test_a_whole_module_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"model": net(), "ema": None}, tmp_path / "w.pt")
    with pytest.raises(
        WeightsError, match=r"Python objects \(torch.nn.modules.* more\), whose code eenas never runs; save"
    ):
        read(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"not weights at all", "it is neither"),
        (b"PK\x03\x04 torn", ""),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\xff" * 7 + b"\x7f{", ""),
        (b"\x10" + b"\0" * 7 + b'{"a": {"x": 1}}', ""),
        (b"\x80\x02.", ""),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"cannot be read.*{words}") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_other_zip_files_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.ones(3))
    with pytest.raises(WeightsError, match=r"a zip file without a checkpoint \(a.npy\)"):
        read(tmp_path / "w.npz")
    with pytest.warns(FutureWarning):
        torch.jit.script(net()).save(str(tmp_path / "w.pt"))
    with pytest.raises(WeightsError, match="a TorchScript program; save"):
        read(tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", bytes(1 << 24))
    with pytest.raises(WeightsError, match="entries are larger than the file"):
        read(tmp_path / "bomb.pth")


def saved(content: Any, *, zipped: bool, change: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    """What `torch.save` writes, with a change of the one place in its pickle where `change` applies."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    if not zipped:
        return exchanged(stream.getvalue(), *change)
    changed = io.BytesIO()
    with zipfile.ZipFile(stream) as archive, zipfile.ZipFile(changed, "w") as other:
        for entry in archive.infolist():
            content = archive.read(entry)
            other.writestr(entry, exchanged(content, *change) if entry.filename.endswith("data.pkl") else content)
    return changed.getvalue()


def exchanged(data: bytes, old: bytes, new: bytes) -> bytes:
    assert not old or data.count(old) == 1
    return data.replace(old, new) if old else data


@pytest.mark.parametrize("zipped", [True, False])
def test_every_kind_of_tensor_is_read(tmp_path: Path, zipped: bool) -> None:
    """Views, shared storages, empty and single numbers, parameters, attributes, and every type."""
    base = torch.arange(24.0).reshape(4, 6)
    marked = torch.ones(3)
    marked.note = "by hand"  # type: ignore[attr-defined]
    content = {
        **{"base": base, "turned": base.t(), "part": base[1:3, ::2], "spread": base[:1].expand(5, 6)},
        **{"none": torch.zeros(0, 3), "one": torch.tensor(2.0), "parameter": nn.Parameter(torch.ones(2))},
        **{"marked": marked, "complex": torch.ones(2, dtype=torch.complex64), "bool": torch.ones(3, dtype=torch.bool)},
        **{str(kind): torch.ones(2, 3, dtype=kind) for kind in (torch.float16, torch.bfloat16, torch.float64)},
        **{str(kind): torch.ones(2, 3, dtype=kind) for kind in (torch.int8, torch.uint8, torch.int16, torch.int32)},
    }
    if zipped:  # torch reads these from no old file
        content |= {"uint16": torch.ones(5, dtype=torch.uint16), "float8": torch.ones(5).to(torch.float8_e4m3fn)}
    (tmp_path / "w").write_bytes(saved({"state_dict": content, "args": argparse.Namespace(a=1)}, zipped=zipped))
    found = read_weights(tmp_path / "w")
    assert found.keys() == content.keys()
    assert {key: value.dtype for key, value in found.items()} == {key: value.dtype for key, value in content.items()}
    assert all(torch.equal(found[key].cfloat(), value.cfloat()) for key, value in content.items())


MOST, LESS = b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff"  # 2^31 - 1 and -1 as pickle writes them
CLAIMS = {  # what stands behind the 108, in a zip file and in an old one, what takes its place, and what is said
    "storage": ((b"t", b"Nt"), MOST, r"claims tensors of 8,589,934,588 bytes and holds"),
    "tensor": ((b"\x85", b"\x85"), MOST, r"a tensor of shape \[2147483647\] in 108 numbers; copy"),
    "negative": ((b"t", b"Nt"), LESS, r"is broken \(ValueError\); copy"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_tensors_that_are_larger_than_the_file_are_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, claim: Any
) -> None:
    behind, number, match = claim[0][not zipped], *claim[1:]
    (tmp_path / "w").write_bytes(saved({"a": torch.zeros(108)}, zipped=zipped))
    assert read_weights(tmp_path / "w")["a"].shape == (108,)
    data = saved({"a": torch.zeros(108)}, zipped=zipped, change=(b"K\x6c" + behind, number + behind))
    (tmp_path / "w").write_bytes(data)
    monkeypatch.setattr(torch, "load", lambda *given, **options: pytest.fail("torch was asked"))
    with pytest.raises(WeightsError, match=match):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("asked", [(bytearray, 10**12), (torch.Tensor, 10**12), (torch.FloatTensor, *(10**3,) * 4)])
def test_objects_that_are_as_large_as_they_are_asked_to_be_are_refused(
    tmp_path: Path, zipped: bool, asked: Any
) -> None:
    (tmp_path / "w").write_bytes(saved({"state_dict": state(), "a": Evil(*asked)}, zipped=zipped))
    with pytest.raises(WeightsError, match=r"claims tensors of 1,000,000,000,000 bytes and holds"):
        read_weights(tmp_path / "w")


REPEATED = {  # what is called, and with what
    "bytearray": (bytearray, (30_000,)),
    "text": (codecs.encode, ("x" * 30_000, "latin1")),
    "numbers": (torch.Tensor, (list(range(9000)),)),
    "set": (set, (list(range(9000)),)),
}


class Repeated:
    """Pickled as a call; what is called and with what is written once in a file, however often it is named."""

    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("call", REPEATED.values(), ids=REPEATED)
def test_objects_that_are_written_once_and_made_many_times_are_refused(tmp_path: Path, zipped: bool, call: Any) -> None:
    (tmp_path / "w").write_bytes(saved({"a": torch.zeros(3), "b": Repeated(*call)}, zipped=zipped))
    if call[0] is not bytearray:
        assert "a" in read_weights(tmp_path / "w"), "once is well"
    many = [Repeated(*call) for _ in range(200)]
    (tmp_path / "w").write_bytes(saved({"a": torch.zeros(3), "b": many}, zipped=zipped))
    with pytest.raises(WeightsError, match=r"claims tensors of [\d,]+ bytes and holds"):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_is_put_upon_a_storage_lies_within_it(tmp_path: Path, zipped: bool) -> None:
    class Put:
        def __init__(self, count: int) -> None:
            self.count = count

        def __reduce__(self) -> Any:
            return torch.Tensor, (), (torch.zeros(4).storage(), 0, (self.count,), (1,))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of typed storages
        (tmp_path / "w").write_bytes(saved({"a": torch.zeros(3), "b": Put(4)}, zipped=zipped))
        assert read_weights(tmp_path / "w").keys() == {"a", "b"}
        (tmp_path / "w").write_bytes(saved({"a": torch.zeros(3), "b": Put(5)}, zipped=zipped))
    with pytest.raises(WeightsError, match=r"has a tensor of shape \[5\] in 4 numbers"):
        read_weights(tmp_path / "w")


def test_an_old_file_without_the_numbers_of_a_tensor_is_refused(tmp_path: Path) -> None:
    """torch would give the memory as it finds it."""
    data = saved({"a": torch.zeros(108)}, zipped=False)
    keys = data.rindex(b"\x80\x02]q")
    (tmp_path / "w").write_bytes(data[:keys] + b"\x80\x02].")
    with pytest.raises(WeightsError, match="lacks the data of tensors that it names"):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"epoch": 3}, {"state_dict": {"a": 1}}, [torch.zeros(2)]])
def test_files_without_a_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no state dict found"):
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
    with pytest.raises(WeightsError, match=r"is a folder; give the path of a weights file, such as studies/there.pth"):
        find_weights("studies")
    for text in ("a" * 5000, "a\0b", "~nobody-of-that-name/x.pth"):
        with pytest.raises(WeightsError, match=r"no such file|not a path"):
            find_weights(text)


@cache
def valid(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "safetensors":
        return save(dict(state()), metadata={"format": "pt"})
    torch.save(TIMM, stream, _use_new_zipfile_serialization=kind == "zip")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    (tmp_path / "w").write_bytes(data.draw(mutated_bytes(valid(kind))))
    check_one_line(lambda: read_weights(tmp_path / "w"))


SAFETENSORS = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}}


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(["F32", "BF16", "I64", "F8_E4M3", "BOOL", "X"]) | st.integers(),
    shape=st.lists(st.integers(-3, 2**63), max_size=4) | st.text(max_size=3),
    offsets=st.lists(st.integers(-1, 2**62), max_size=3),
)
def test_headers_of_safetensors_that_promise_more_than_there_is(
    tmp_path: Path, dtype: Any, shape: Any, offsets: Any
) -> None:
    header = json.dumps({**SAFETENSORS, "b": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    check_one_line(lambda: read_weights(tmp_path / "w"))


def taken(tmp_path: Path, content: Any) -> tuple[float, list[str]]:
    """The value of the weights that were taken, and what was said."""
    said: list[str] = []
    torch.save(content, tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt", lambda event: said.append(event.text))
    return float(found["a.weight"].mean()), said


def layer(value: float) -> dict[str, torch.Tensor]:
    return {"a.weight": torch.full((2, 2), value), "a.bias": torch.full((2,), value)}


def test_averaged_weights_of_a_callback_are_taken_and_said(tmp_path: Path) -> None:
    """As callbacks of Lightning save them."""
    content = {"state_dict": layer(1.0), "callbacks": {"EMA": {"ema_state_dict": layer(2.0)}, "Other{}": {"best": 1}}}
    value, said = taken(tmp_path, content)
    assert value == 2.0
    assert said == [
        f"weights {tmp_path}/w.pt: loaded the averaged weights in callbacks.EMA.ema_state_dict, not "
        "state_dict; to load state_dict, save it alone"
    ]


@pytest.mark.parametrize(
    ("beside", "place"),
    [
        ({"ema": {"decay": 0.9, "shadow_params": list(layer(2.0).values())[::-1]}}, "ema.shadow_params"),
        ({"ema": {"shadow_params": [*layer(2.0).values(), torch.zeros(3)]}}, "ema.shadow_params"),
        ({"swa_model": layer(2.0)}, "swa_model"),
        ({"extra": {"averaged": layer(2.0)}}, "extra.averaged"),
        ({"callbacks": {"EMA": {"ema_weights": list(layer(2.0).values())[:1] * 2}}}, "callbacks.EMA.ema_weights"),
    ],
)
def test_averaged_weights_that_are_not_taken_are_said(tmp_path: Path, beside: Any, place: str) -> None:
    value, said = taken(tmp_path, {"model": layer(1.0), **beside})
    assert value == 1.0
    assert said == [
        f"weights {tmp_path}/w.pt: loaded model, not the averaged weights in {place}; "
        "to load those, save them alone as a state dict"
    ]


def test_what_only_counts_averages_or_is_called_alike_is_no_averaged_weights(tmp_path: Path) -> None:
    content = {"state_dict": layer(1.0), "averaging_state": {"n_averaged": torch.tensor(3)}, "semantic": {"a": 1}}
    assert taken(tmp_path, content) == (1.0, [])
    assert taken(tmp_path, {"model": layer(1.0), "ema": {"shadow": layer(2.0)}})[0] == 2.0


@pytest.mark.parametrize(
    ("beside", "place"),
    [
        ({"ema": {"decay": 0.9, "shadow_params": list(layer(2.0).values())}}, "ema.shadow_params"),
        ({"callbacks": {"EMA": {"ema_weights": tuple(layer(2.0).values())}}}, "callbacks.EMA.ema_weights"),
    ],
)
def test_a_list_of_averaged_parameters_takes_the_names_of_those_beside_it(
    tmp_path: Path, beside: Any, place: str
) -> None:
    statistics = {"b.running_mean": torch.zeros(2), "b.running_var": torch.ones(2)}
    content = {"model": {**layer(1.0), **statistics}, **beside}
    value, said = taken(tmp_path, content)
    assert value == 2.0
    assert said == [
        f"weights {tmp_path}/w.pt: loaded the averaged weights in {place}, not the state dict; "
        "to load the state dict, save it alone"
    ]


def test_what_modules_keep_beside_tensors_is_said_to_be_left_out(tmp_path: Path) -> None:
    _, said = taken(tmp_path, {**layer(1.0), "a._extra_state": {"seen": 7}, "b._extra_state": None})
    assert said == [
        f"weights {tmp_path}/w.pt: left out the extra state of modules (a._extra_state); they start with their own"
    ]
