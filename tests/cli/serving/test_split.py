"""`eenas split`, and `eenas run` with a server."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from eenas.programs.runtime import load
from eenas.testing.smallest import SIZE, smallest_task

from ...programs.remote.model_server import ModelServer, serving

TASK = "eenas.testing.smallest:smallest_task"


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, image in enumerate(smallest_task().test.images(SIZE, 3)[np.arange(8)].numpy()):
        Image.fromarray(np.moveaxis(image, 0, 2)).save(folder / f"{index}.png")
    return folder


def refused(answer, *words):
    assert answer.status == 2, answer.out
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def test_split_and_run(call, exported, pictures, tmp_path, monkeypatch):
    edge, cloud = tmp_path / "edge", tmp_path / "cloud"
    answer = call("split", exported, edge, cloud, "--at", "0")
    assert answer.status == 0, answer.err
    assert f"written: {edge} and {cloud}" in answer.err
    assert "next: eenas serve" in answer.err
    expected = load(exported, threads=1).predict(smallest_task().test.images(SIZE, 3)[np.arange(8)].numpy())
    server = ModelServer(cloud)
    server.token = "secret-token"
    monkeypatch.setenv("EENAS_SERVE_TOKEN", "secret-token")
    with serving(server) as url:
        flags = ("--remote", url, "--threads", "1", "--deadline-ms", "20000")
        found = json.loads(call("run", edge, pictures, *flags, "--json").out)
        assert [one["exit"] for one in found] == [("0", "2", "final")[k] for k in expected.exits]
        assert [one["answered"] for one in found] == [("edge", "cloud", "cloud")[k] for k in expected.exits]
        whole = call("run", exported, pictures, *flags, "--split", "0", "--codec", "int8", "--compression", "deflate")
        assert whole.status == 0, whole.err
        assert "answered by" in whole.out
        assert "cloud" in whole.out
        (tmp_path / "token").write_text("another\n")
        answer = call("run", edge, pictures, *flags, "--token-file", tmp_path / "token")
        assert "warning: " in answer.err
        assert "server refused (401 'a token is missing'); answers come from the edge until it works" in answer.err
        table = tmp_path / "table.json"
        table.write_text(json.dumps({"rows": [{"split": "2"}]}))
        found = json.loads(call("run", exported, pictures, *flags, "--split-table", table, "--json").out)
        assert {one["answered"] for one in found if one["exit"] == "final"} == {"cloud"}
        table.write_text(json.dumps({"rows": [{"split": "9"}]}))
        refused(call("run", exported, pictures, *flags, "--split-table", table), "the table has the split '9'")
        table.write_text("{")
        refused(call("run", exported, pictures, *flags, "--split-table", table), "--split-table", "not valid JSON")
    found = json.loads(call("run", edge, pictures, *flags, "--json").out)
    assert [one["answered"] for one in found] == ["edge: link lost" if k else "edge" for k in expected.exits]
    refused(call("run", edge, pictures), "is the edge half of a model split at '0'", "--remote URL")
    refused(call("run", exported, pictures, "--split", "0"), "split belongs to a server")
    refused(call("verify", edge), "is the edge half of a model split at '0'")
    refused(call("calibrate", cloud, "--data", TASK, "--max-accuracy-drop", "0.1", "--trust-code"), "is the cloud half")
    refused(call("run", edge, pictures, "--remote", url, "--token-file", tmp_path / "none"), "cannot be read")


def test_a_split_between_exits_is_compared_and_its_codecs_are_measured(call, exported, tmp_path):
    model = shutil.copytree(exported, tmp_path / "model")
    folders = tmp_path / "edge", tmp_path / "cloud"
    flags = ("--data", TASK, "--trust-code")
    answer = call("split", model, *folders, "--at", "1", "--report", *flags)
    assert answer.status == 0, answer.err
    assert "parity on 60 samples" in " ".join(answer.err.split())
    assert answer.out.count("int8_channel") >= 3
    effects = json.loads(call("split", model, *folders, "--at", "2", "--report", "--json", *flags).out)["codecs"]
    by = {(one["codec"], one["compression"]): one for one in effects}
    assert by["float32", "none"]["agreement"] == 1.0
    assert by["int8", "none"]["bytes_sent"] < by["float16", "none"]["bytes_sent"] < by["float32", "none"]["bytes_sent"]
    assert all(one["agreement"] > 0.9 and 0.5 < one["accuracy"] <= 1 for one in effects)
    refused(call("split", model, *folders, "--at", "final"), "leaves nothing for the cloud")
    refused(call("split", model, *folders, "--at", "1"), "is Python code")
    refused(call("split", tmp_path, *folders, "--at", "1"), "has no eenas.json")
