"""Exported programs answer a text, a graph and a series the same, however far it is padded and with whom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.branches.readout import ReadoutBranch
from eenas.designs.design import Design, Placed
from eenas.errors import InputError
from eenas.networks.assembly import build_network
from eenas.programs.file_answers import Unanswered, answer_files
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.programs import Programs
from eenas.programs.runtime import ExportedModel
from eenas.programs.runtime import load as load_model
from eenas.tasks.graphs.rings import rings
from eenas.tasks.inputs import InputSpec
from eenas.tasks.load import load_task
from eenas.tasks.series.series_input import series_input

pytestmark = pytest.mark.slow

LENGTH = 24
"""Points of the longest series."""
EXAMPLES = settings(max_examples=25, deadline=None)


def written(
    backbone: Backbone, inputs: InputSpec, branch: Branch, out: Path, like: dict | None = None
) -> ExportedModel:
    """The runtime of an export with a branch behind the first two blocks, with the weights `like`, which are kept."""
    placed = tuple(Placed(point.name, branch) for point in backbone.cut_points[:2])
    design = Design(backbone=backbone.name, num_classes=3, inputs=inputs, branches=placed)
    network = build_network(design, backbone, classes=("a", "b", "c")).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point() and value.ndim == 1:  # biases and statistics, so that padding could matter
                value.add_(0.3 * torch.rand(value.shape, generator=generator))
    if like is not None:
        network.load_state_dict(like or network.state_dict())
        like |= network.state_dict()
    spec = BackboneSpec(name=backbone.name)
    package = Package(network=network, backbone=spec, trained=True, measured={}, card="# Padding\n")
    return load_model(write_folder(package, out, Programs(format="onnx")))


def same(found: list, expected: list, rows: slice = slice(None)) -> None:
    """Logits of all exits agree."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[rows], atol=1e-4)


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> ExportedModel:
    torch.manual_seed(0)
    task = load_task("phrases")
    backbone = load_backbone("text_transformer", num_classes=3, inputs=task.inputs)
    backbone = replace(backbone, transform=backbone.transform.fitted(task))
    return written(backbone, backbone.transform.inputs, PoolFc(), tmp_path_factory.mktemp("out") / "texts")


@EXAMPLES
@given(rows=st.lists(st.text(max_size=60), min_size=1, max_size=4), more=st.integers(0, 40))
def test_texts(texts: ExportedModel, rows: list[str], more: int) -> None:
    together = texts.preprocess(rows)
    expected = texts.logits(together)
    room = min(more, texts.manifest.preprocessing.max_length - together.shape[1])
    longer = np.pad(together, [(0, 0), (0, room)], constant_values=texts.manifest.preprocessing.pad)
    same(texts.logits(longer), expected)
    for row, text in enumerate(rows):
        same(texts.logits(texts.preprocess([text])), expected, slice(row, row + 1))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory) -> ExportedModel:
    torch.manual_seed(0)
    task = load_task("rings")
    backbone = load_backbone("gin", num_classes=3, inputs=task.inputs)
    return written(backbone, task.inputs, ReadoutBranch(), tmp_path_factory.mktemp("out") / "graphs")


@EXAMPLES
@given(rows=st.lists(st.integers(0, 59), min_size=1, max_size=4), more=st.integers(0, 9))
def test_graphs(graphs: ExportedModel, rows: list[int], more: int) -> None:
    arrays, _ = rings(60)
    pairs = [arrays.graph(row) for row in rows]
    together = graphs.preprocess(pairs)
    expected = graphs.logits(together)
    same(graphs.logits(np.pad(together, [(0, 0), (0, more), (0, 0)])), expected)
    for row, pair in enumerate(pairs):
        same(graphs.logits(graphs.preprocess([pair])), expected, slice(row, row + 1))


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> list[ExportedModel]:
    """The same weights for series of up to 24 and of up to 40 points."""
    made, weights = [], {}
    for length in (LENGTH, 40):
        torch.manual_seed(0)
        inputs = series_input(3, length, masked=True)
        backbone = load_backbone("series_resnet_small", num_classes=3, inputs=inputs)
        made.append(written(backbone, inputs, Fc(), tmp_path_factory.mktemp("out") / str(length), weights))
    return made


@EXAMPLES
@given(points=st.lists(st.integers(1, LENGTH), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_series(series: list[ExportedModel], points: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = [generator.normal(size=(2, length)).astype(np.float32) for length in points]
    short, long = series
    expected = short.logits(short.preprocess(rows))
    same(long.logits(long.preprocess(rows)), expected)
    for row, each in enumerate(rows):
        same(short.logits(short.preprocess([each])), expected, slice(row, row + 1))


def reasons(model: ExportedModel, *paths: Path) -> list[str]:
    """What is said of files without an answer."""
    return [each.reason for each in answer_files(model, paths) if isinstance(each, Unanswered)]


def test_files_without_a_sample_and_other_ones_are_named(texts: ExportedModel, series: list, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n \n")
    said = reasons(texts, tmp_path / "a.txt")
    assert said == [f"{tmp_path}/a.txt: contains no text; give a file with a text in each line"]
    np.save(tmp_path / "a.npy", np.zeros((0, 3, LENGTH)))
    np.save(tmp_path / "b.npy", np.zeros((5, 9)))
    none, other = reasons(series[0], tmp_path / "a.npy", tmp_path / "b.npy")
    assert none == f"{tmp_path}/a.npy: contains no series; give a file with at least one"
    assert other.startswith(
        f"{tmp_path}/b.npy: series must be floats [2, 1 to 24] (channels before time), got float64 [5"
    )


def test_half_of_an_edge_is_refused(graphs: ExportedModel) -> None:
    arrays, _ = rings(2)
    batch = graphs.preprocess([arrays.graph(0)])
    batch[0, 0, graphs.manifest.preprocessing.features + 1] = 0
    with pytest.raises(InputError, match="an edge needs a source and a target"):
        graphs.logits(batch)
