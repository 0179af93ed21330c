"""Folders with programs that are not as they were exported: each is named in one line, and nothing of it runs."""

import json
import shutil

import pytest

from eenas.deployment.manifest import read_manifest
from eenas.deployment.model_folder import write_folder
from eenas.deployment.runtime import load
from eenas.errors import ExportError

from ..exported import smallest_package


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


def refused(folder, match):
    with pytest.raises(ExportError, match=match) as error:
        load(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_it_says_what_lies_in_the_folder(folder):
    manifest = read_manifest(folder)
    assert manifest.exits == ("0", "2", "final")
    assert manifest.policy == smallest_package().network.policy
    assert [segment.file for segment in manifest.segments] == [f"segment_{k}.onnx" for k in range(3)]
    assert [list(segment.shape) for segment in manifest.segments] == [[3, 8, 8], [8, 8, 8], [16, 4, 4]]
    assert list(manifest.points) == sorted(manifest.points, key=lambda point: point.expected_macs)
    table = json.loads((folder / "eenas.json").read_text())
    assert set(table["program"]["versions"]) == {"eenas", "torch", "onnx", "onnxruntime", "opset"}
    assert table["program"]["parity"]["differing"] == 0


def test_a_file_that_is_missing_or_was_changed_is_named(folder):
    program = folder / "segment_1.onnx"
    whole = program.read_bytes()
    program.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(folder, r"segment_1.onnx: has the checksum \w{12}, the manifest \w{12}; copy it")
    program.unlink()
    refused(folder, "segment_1.onnx: is missing; copy the whole folder")


def test_a_program_that_does_not_open_is_named(folder):
    (folder / "segment_1.onnx").write_bytes(b"nonsense")
    table = json.loads((folder / "eenas.json").read_text())
    import hashlib

    table["program"]["segments"][1]["sha256"] = hashlib.sha256(b"nonsense").hexdigest()
    (folder / "eenas.json").write_text(json.dumps(table))
    refused(folder, "segment_1.onnx: the segment that ends at exit '2' does not open here")


def test_a_folder_without_programs(tmp_path):
    folder = write_folder(smallest_package(), tmp_path / "network")
    refused(folder, "holds no program, only the network; export with --format onnx, or use eenas.load")
    refused(tmp_path, "has no eenas.json; give a folder")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 2}, "format 2, this eenas reads format 1; use the eenas that wrote it"),
        ({"program": {"kind": "tflite", "segments": []}}, "unknown kind of program 'tflite'"),
        (
            {"program": {"kind": "onnx", "segments": [{"file": "../x.onnx", "sha256": "", "shape": []}]}},
            "in the folder of the manifest",
        ),
        ({"program": {"kind": "onnx", "segments": [{"path": "x"}]}}, "is not whole"),
        ({"program": {"kind": "onnx", "segments": []}}, "3 exits need a program each"),
        ({"transform": {"size": 8}}, "is not whole"),
        ({"transform": {"size": 8, "channels": 3, "mean": [0, 0, 0], "std": [1, 1]}}, "3 finite numbers each"),
        ({"policy": {"kind": "oracle"}}, "unknown kind of policy 'oracle'"),
        ({"policy": {"kind": "patience", "exits": 4, "patience": 1}}, "3 exits need a program each and a policy"),
        (
            {"policy": {"score": "margin", "temperatures": [1, 1, 1], "thresholds": [0.5, 1.5]}},
            r"a threshold must be in \[0, 1\] or null \(nobody leaves\), got 1.5",
        ),
        ({"measured": None}, "is not whole"),
        ({"measured": {"points": [{}]}}, "the key 'policy' is missing"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_named(folder, change, match):
    table = json.loads((folder / "eenas.json").read_text())
    (folder / "eenas.json").write_text(json.dumps({**table, **change}))
    refused(folder, match)


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff"])
def test_a_manifest_that_is_none_is_named(folder, text):
    (folder / "eenas.json").write_text(text, errors="surrogateescape")
    refused(folder, "is not a manifest of eenas")
