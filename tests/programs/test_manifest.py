"""Folders with programs that are not as they were exported: each is named in one line, and nothing of it runs."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eenas.errors import ExportError
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.external_data import check_no_external_data
from eenas.programs.manifest import read_manifest
from eenas.programs.model_folder import write_folder
from eenas.programs.parity import Parity
from eenas.programs.runtime import load

from ..exported import smallest_package
from ..fuzzing import check_one_line, examples, mutated_bytes, mutated_table


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


def refused(folder, match):
    with pytest.raises(ExportError, match=match) as error:
        load(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def put(folder, k, content):
    """Write another program for segment k, under its checksum."""
    (folder / f"segment_{k}.onnx").write_bytes(content)
    table = json.loads((folder / "eenas.json").read_text())
    table["program"]["segments"][k]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "eenas.json").write_text(json.dumps(table))


def test_it_says_what_lies_in_the_folder(folder):
    manifest = read_manifest(folder)
    assert manifest.exits == ("0", "2", "final")
    assert manifest.policy == smallest_package().network.policy
    assert [segment.file for segment in manifest.segments] == [f"segment_{k}.onnx" for k in range(3)]
    assert [list(segment.shape) for segment in manifest.segments] == [[3, 8, 8], [8, 8, 8], [16, 4, 4]]
    assert list(manifest.points) == sorted(manifest.points, key=lambda point: point.expected["macs"])
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
    for content, match in (
        (b"\x08\x08", "the segment that ends at exit '2' does not load"),
        (b"nonsense", "is not an ONNX file"),
    ):
        put(folder, 1, content)
        refused(folder, f"segment_1.onnx: {match}")


def test_a_folder_without_programs(tmp_path):
    folder = write_folder(smallest_package(), tmp_path / "network")
    refused(folder, "contains the network but no programs; export with --format onnx, or use eenas.load")
    refused(tmp_path, "has no eenas.json; give a folder")


def refused_with(folder, change, match):
    """Refused once `change` has changed the table of the manifest, or its values were laid over it."""
    table = json.loads((folder / "eenas.json").read_text())
    table = change(table) or table if callable(change) else {**table, **change}
    (folder / "eenas.json").write_text(json.dumps(table))
    refused(folder, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 2}, "has format 2, this eenas reads format 1; use the one that wrote it"),
        ({"format": True}, "format True, this eenas reads format 1"),
        ({"program": {"kind": "tflite", "segments": []}}, "unknown kind of program 'tflite'"),
        (
            {"program": {"kind": "onnx", "segments": []}},
            "program.segments must have 3 programs, one for each exit, got 0",
        ),
        ({"transform": {"size": 8}}, "transform.channels is missing"),
        ({"transform": {"size": 8, "channels": 3, "mean": [0, 0, 0], "std": [1, 1]}}, "std must be 3 finite numbers"),
        ({"policy": {"kind": "oracle"}}, "unknown kind of policy 'oracle'"),
        ({"policy": {"kind": "patience", "exits": 4, "patience": 1}}, "policy must be for 3 exits, got one for 4"),
        (
            {"policy": {"score": "margin", "temperatures": [1, 1, 1], "thresholds": [0.5, 1.5]}},
            r"a threshold must be in \[0, 1\] or null \(no sample leaves\), got 1.5",
        ),
        (
            {"policy": {"score": "margin", "temperatures": [10**400, 1, 1], "thresholds": [0, 0]}},
            "integers have at most 63 bits",
        ),
        ({"measured": None}, "measured must be a table, got None"),
        ({"measured": {"points": [{}]}}, r"measured.points\[0\].policy is missing"),
        ({"classes": ["a", "b", 3, "d"]}, r"classes\[2\] must be a string of at most 1,000 characters, got 3"),
        ({"classes": ["a"]}, "classes must be at least 2 names"),
        ({"classes": 2_000_000_000}, "classes must be a list of names, got 2000000000"),
        ({"classes": ["a", "\ud800", "c", "d"]}, "texts must not contain lone surrogates"),
        ({"exits": ["0", "0", "final"]}, "exits must be different names"),
        ({"exits": ["0", "final"]}, "policy must be for 2 exits, got one for 3"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_named(folder, change, match):
    refused_with(folder, change, match)


def segment(k, **values):
    return lambda table: table["program"]["segments"][k].update(values)


def swapped(table):
    segments = table["program"]["segments"]
    segments[0], segments[1] = segments[1], segments[0]


def pt2(table):
    return [{**segment, "file": f"segment_{k}.pt2"} for k, segment in enumerate(table["program"]["segments"])]


def measured(part, *place, **values):
    def change(table):
        found = table["measured"][part]
        for key in place:
            found = found[key]
        found.update(values)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (segment(0, file="../x.onnx"), "file must be the name of a file in the folder of the manifest, got ../x.onnx"),
        (segment(0, file="/etc/passwd"), "in the folder of the manifest"),
        (segment(0, file="..\\x.onnx"), "in the folder of the manifest"),
        (segment(0, path="x"), "must be a table of file, sha256, shape, takes_previous, carried, got path"),
        (
            swapped,
            r"segments\[0\].file must be 'segment_0.onnx', numbered in the order of the exits, got segment_1.onnx",
        ),
        (segment(1, file="segment_0.onnx"), r"segments\[1\].file must be 'segment_1.onnx'"),
        (segment(1, sha256="0"), "sha256 must be 64 hexadecimal digits"),
        (segment(1, shape=[2**31, 2**31]), "shape must be a list of whole numbers, 0 for any length"),
        (segment(1, shape=[2**20, 2**20]), "shape must be a shape of at most 268,435,456 values"),
        (segment(0, shape=[3, 9, 9]), r"shape must be the shape of a sample, \[3, 8, 8\], got \[3, 9, 9\]"),
        (segment(0, takes_previous=True), "takes_previous must be false"),
        (segment(2, takes_previous=1), "takes_previous must be true or false, got 1"),
        (measured("exits", 1, temperature=0), r"temperature must be finite and at least .*, got 0"),
        (
            measured("exits", 1, temperature=1e-320),
            r"temperature must be finite and at least 1e-30, got 1e-320",
        ),
        (measured("exits", 1, temperature="1"), r"temperature must be finite and at least .*, got 1"),
        (
            lambda table: table["policy"].update(temperatures=[1, 1e-320, 1]),
            "a temperature must be positive .* got 1e-320",
        ),
        (
            lambda table: table["transform"].update(std=[1, 1e-320, 1]),
            "must be finite in float32 .* and std 9.99989e-321",
        ),
        (lambda table: table["transform"].update(std=[1, 1e-9, 1], mean=[0, 1e30, 0]), "got mean 1e.30 and std 1e-09"),
        (
            lambda table: table["program"]["single_file"].update(shape=[3, 8, 9]),
            "single_file.shape must be the shape of a sample",
        ),
        (
            lambda table: table["program"]["single_file"].update(takes_previous=True),
            "single_file.takes_previous must be",
        ),
        (measured("exits", 1, macs=1.0), "measured.exits must be in order of increasing MACs"),
        (measured("exits", 1, name="2 "), "name must be '2'"),
        (measured("points", 0, accuracy=1.5), r"points\[0\].accuracy must be in \[0, 1\], got 1.5"),
        (measured("points", 0, shares=[0.5, 0.5]), r"points\[0\].shares must be 3 numbers in \[0, 1\]"),
        (measured("points", 0, shares=[0.5, 0.5, 0.5]), "the shares of an operating point must sum to one"),
        (measured("points", 0, expected_macs=-1), r"expected_macs must be in \[0"),
        (measured("points", 0, expected_energy=float("1e301")), r"expected_energy must be in \[0"),
        (measured("points", 0, expected_energy=1.0), "the key 'worst_energy' is missing"),
        (measured("exits", 1, energy=-1.0), r"measured.exits\[1\].energy must be in \[0"),
        (lambda table: table["measured"].update(costs=[{"name": "e", "unit": "<b>"}]), "the unit of e must be"),
        (lambda table: table["measured"].update(costs=[{"unit": "J"}]), r"measured.costs\[0\].name is missing"),
        (lambda table: table["measured"].update(costs=[{"name": "a-b"}]), "a cost cannot be called 'a-b'"),
        (
            lambda table: table["measured"].update(costs=[{"name": "e", "per": "s"}]),
            "of name, unit, provenance, got per",
        ),
        (lambda table: table["measured"].update(costs="macs"), "measured.costs must be a list of at most 100"),
        (
            measured("points", 0, policy={"kind": "patience", "exits": 2, "patience": 1}),
            "policy must be for 3 exits, got one for 2",
        ),
        (measured("backbone", macs=0), "backbone.macs must be a positive number"),
        (lambda table: table["measured"].pop("exits"), "measured.exits is missing"),
        (lambda table: table["measured"]["exits"].pop(), "measured.exits must be 3, one for each exit, got 2"),
        (lambda table: table.pop("rule"), "rule is missing"),
        (lambda table: table.update(files={"../x": "0" * 64}), "files must be names of files in the folder"),
        (lambda table: table["transform"].update(size=10**9), "transform.size must be 1 to 65,536 pixels"),
        (lambda table: table["transform"].update(channels=2**31), "transform.channels must be a whole number"),
        (lambda table: table["transform"].update(white=254), "transform.white must be a whole number of at least 255"),
        (lambda table: table["program"].update(kind="pt2", segments=pt2(table)), "single_file must be left out unless"),
    ],
)
def test_every_value_has_a_type_and_a_bound_and_fits_the_others(folder, change, match):
    refused_with(folder, lambda table: change(table) and None, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"classes": list("abcde")},
            r"segment_0.onnx: returns logits \['batch', 4\], .* says logits \[N, 5\]; copy",
        ),
        (
            segment(1, shape=[8, 8, 9]),
            r"segment_0.onnx: returns features \[.*\], .* says features \[N, 8, 8, 9\]",
        ),
        (segment(1, shape=[64, 8]), r"segment_0.onnx: returns features \[.*\], .* says features \[N, 64, 8\]"),
        (segment(1, takes_previous=True), "segment_1.onnx: takes x, but the manifest says x, previous"),
    ],
)
def test_a_program_that_is_not_the_manifest_s_is_refused_when_it_is_opened(folder, change, match):
    refused_with(folder, (lambda table: change(table) and None) if callable(change) else change, match)


def test_a_program_that_does_not_tell_its_classes_is_refused_when_it_runs(folder):
    model = onnx.load(folder / "segment_0.onnx")
    for node in model.graph.node:
        node.output[:] = ["all" if name == "logits" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Compress", ["all", "kept"], ["logits"], axis=1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([True, True, False, True]), "kept"))
    model.graph.output[-1].type.tensor_type.shape.dim[1].dim_param = "classes"
    put(folder, 0, model.SerializeToString())
    opened, x = load(folder), np.zeros((2, 3, 8, 8), np.uint8)
    for run in (opened.predict, opened.logits, lambda x: opened.reach(x, 0), lambda x: opened.predict(x[:1])):
        with pytest.raises(
            ExportError, match=r"returns logits \[[12], 3\], but the manifest says logits \[[12], 4\]; copy"
        ):
            run(x)


@pytest.mark.parametrize(("text", "said"), [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")])
def test_numbers_are_finite(folder, text, said):
    whole = (folder / "eenas.json").read_text()
    (folder / "eenas.json").write_text(whole.replace('"macs": 20000.0', f'"macs": {text}'))
    refused(folder, f"is not an eenas manifest .numbers must be finite, got {said}[)]")


def test_a_file_that_is_too_large_or_too_deep_is_not_read(folder):
    with (folder / "eenas.json").open("wb") as stream:
        stream.truncate(1 << 34)  # a hole, which takes no room
    refused(folder, "must have at most 64,000,000 bytes")
    (folder / "eenas.json").write_text("[" * 200_000)
    refused(folder, "nested more than 40 levels deep")


def test_numbers_in_another_file_are_refused(folder):
    path = folder / "segment_1.onnx"
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    put(folder, 1, path.read_bytes())
    refused(folder, "segment_1.onnx: stores tensors in another file, which no checksum covers")


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_manifest_is_read_or_refused_in_one_line(exported, tmp_path, data):
    table = json.loads((exported / "eenas.json").read_text())
    for file in exported.iterdir():
        if file.name != "eenas.json" and not (tmp_path / file.name).exists():
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "eenas.json").write_text(json.dumps(data.draw(mutated_table(table))))
    check_one_line(lambda: read_manifest(tmp_path))
    check_one_line(lambda: Parity.of(tmp_path))
    check_one_line(lambda: ProgramLatency.of(tmp_path))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_of_a_manifest(exported, tmp_path, data):
    (tmp_path / "eenas.json").write_bytes(data.draw(mutated_bytes((exported / "eenas.json").read_bytes())))
    check_one_line(lambda: read_manifest(tmp_path))


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_of_a_program(exported, tmp_path, data):
    (tmp_path / "x.onnx").write_bytes(data.draw(mutated_bytes((exported / "segment_1.onnx").read_bytes())))
    check_one_line(lambda: check_no_external_data(tmp_path / "x.onnx"))


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff"])
def test_a_manifest_that_is_none_is_named(folder, text):
    (folder / "eenas.json").write_text(text, errors="surrogateescape")
    refused(folder, "is not an eenas manifest")
