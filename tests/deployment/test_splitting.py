"""The split of an exported model: two folders that answer like the whole, at exits and between them."""

import json
import shutil

import numpy as np
import pytest

from eenas.deployment.splitting import report_codecs, split_model
from eenas.errors import EenasError, ExportError
from eenas.programs.manifest import read_manifest
from eenas.programs.remote.edge_segments import join_halves, open_tail
from eenas.programs.runtime import ExportedModel, load
from eenas.programs.segments import open_segments
from eenas.testing.smallest import smallest_task

from ..exported import images


def joined(edge, cloud, whole):
    """The whole model that two folders make."""
    one, other = read_manifest(edge), read_manifest(cloud)
    segments = join_halves(open_segments(one, threads=1), open_tail(one, threads=1), open_segments(other, threads=1))
    return ExportedModel(whole.manifest, segments)


@pytest.mark.parametrize(
    ("at", "edge", "cloud"),
    [
        ("0", ["segment_0.onnx"], ["segment_1.onnx", "segment_2.onnx"]),
        ("2", ["segment_0.onnx", "segment_1.onnx"], ["segment_2.onnx"]),
        ("1", ["segment_0.onnx", "tail.onnx"], ["segment_1.onnx", "segment_2.onnx"]),
        ("3", ["segment_0.onnx", "segment_1.onnx", "tail.onnx"], ["segment_2.onnx"]),
    ],
)
def test_both_halves_answer_like_the_whole(exported, tmp_path, at, edge, cloud):
    found = split_model(exported, tmp_path / "edge", tmp_path / "cloud", data=smallest_task(), trust_code=True, at=at)
    assert (found is None) == (at in "02")
    assert found is None or (found.samples == 60 and max(found.differences) < 1e-4)
    names = {half: sorted(file.name for file in (tmp_path / half).iterdir()) for half in ("edge", "cloud")}
    assert names == {"edge": sorted(["eenas.json", "runtime.py", *edge]), "cloud": sorted(["eenas.json", *cloud])}
    whole, (x, _) = load(exported, threads=1), images()
    one, other = whole.predict(x), joined(tmp_path / "edge", tmp_path / "cloud", whole).predict(x)
    np.testing.assert_array_equal(one.exits, other.exits)
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    facts = [read_manifest(tmp_path / half).split for half in ("edge", "cloud")]
    assert {each.model for each in facts} == {whole.manifest.identity}
    assert [each.half for each in facts] == ["edge", "cloud"]
    assert facts[0].shape == facts[1].shape
    assert {each.exits for each in facts} == {1 if at in "01" else 2}


def test_halves_of_other_splits_do_not_pair(exported, tmp_path):
    for at in ("0", "2"):
        split_model(exported, tmp_path / f"edge{at}", tmp_path / f"cloud{at}", at=at)
    partners = [read_manifest(tmp_path / name).split.partner for name in ("edge0", "cloud0", "edge2", "cloud2")]
    assert len(set(partners)) == 4
    for edge, cloud in (("edge0", "cloud2"), ("cloud0", "edge0"), ("edge0", "edge0")):
        with pytest.raises(ExportError, match="are not the halves of"):
            report_codecs(exported, tmp_path / edge, tmp_path / cloud, data=smallest_task(), trust_code=True)


@pytest.mark.parametrize(
    ("at", "match"),
    [
        ("", "a split at '' sends the input itself"),
        ("final", "leaves nothing for the cloud, because the model ends there; .* split it at '0' or '2'"),
        ("layer9", "'layer9' is not a cut point of this model; known: '0', '2', '0.0', '1.0', '1'"),
    ],
)
def test_splits_that_make_no_sense_are_refused(exported, tmp_path, at, match):
    with pytest.raises(ExportError, match=match):
        split_model(exported, tmp_path / "edge", tmp_path / "cloud", data=smallest_task(), trust_code=True, at=at)
    assert not any(tmp_path.iterdir())


def test_what_is_missing_is_named(exported, tmp_path):
    model = shutil.copytree(exported, tmp_path / "model")
    folders = tmp_path / "edge", tmp_path / "cloud"
    with pytest.raises(EenasError, match=r"does not name the samples of its comparison; .* or split at an exit"):
        split_model(model, *folders, trust_code=True, at="1")
    with pytest.raises(EenasError, match="is Python code"):
        split_model(model, *folders, at="1")
    (model / "weights.safetensors").unlink()
    with pytest.raises(
        ExportError, match=r"has no weights\.safetensors; '1' is not the cut point of an exit, .* '0', '2'"
    ):
        split_model(model, *folders, trust_code=True, at="1")
    split_model(model, *folders, at="0")  # needs no weights
    for half in ("edge", "cloud"):
        with pytest.raises(
            ExportError, match=f"is the {half} half of a model split at '0' already; split the whole model"
        ):
            split_model(tmp_path / half, tmp_path / "a", tmp_path / "b", at="0")
    (model / "segment_1.onnx").write_bytes(b"changed")
    with pytest.raises(ExportError, match=r"segment_1\.onnx: has the checksum"):
        split_model(model, *folders, at="0")
    assert (folders[0] / "segment_0.onnx").is_file()


def test_folders_that_are_in_use_or_the_same_are_refused(exported, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(ExportError, match="exists and was not written by eenas"):
        split_model(exported, tmp_path / "edge", tmp_path / "mine", at="0")
    assert not (tmp_path / "edge").exists()
    for folders in (
        (tmp_path / "a", tmp_path / "a"),
        (exported, tmp_path / "a"),
        (tmp_path / "a", tmp_path / "a" / "b"),
    ):
        with pytest.raises(ExportError, match="must be separate folders"):
            split_model(exported, *folders, at="0")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"half": "middle"}, "split.half must be 'edge' or 'cloud', got middle"),
        ({"exits": 7}, "split.exits must be a whole number from 0 to 2, got 7"),
        ({"exits": 2}, "split.exits must be the number of exits up to the split, got 2"),
        ({"at": 3}, "split.at must be the name of a cut point, got 3"),
        ({"model": ""}, "split.model must be a digest"),
        ({"feature": {"name": "features", "dtype": "float32", "shape": []}}, "split.feature.shape must be a list"),
        ({"feature": 1}, "split.feature must be a table"),
        ({"sends_logits": "yes"}, "split.sends_logits must be true or false"),
        ({"at": "1"}, "program.tail must be there if, and only if, no exit is at the split"),
    ],
)
def test_a_damaged_manifest_is_named(exported, tmp_path, change, match):
    split_model(exported, tmp_path / "edge", tmp_path / "cloud", at="0")
    file = tmp_path / "edge" / "eenas.json"
    table = json.loads(file.read_text())
    table["split"] |= change
    file.write_text(json.dumps(table))
    with pytest.raises(ExportError, match=match):
        read_manifest(tmp_path / "edge")
