"""A kind of input of one's own: searched, trained, exported and run; and what is said of one that does not fit."""

import numpy as np
import pytest

from eenas.backbones.load import load_backbone
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.deployment.export import export
from eenas.errors import BackboneError, InputError, PluginError, SpecError, TaskError
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.runtime import load as load_model
from eenas.results.choice import Choice
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.tasks import InputKind, InputSpec, TensorSpec
from eenas.tasks.images.image_input import image_input
from eenas.tasks.inputs import Axis
from eenas.tasks.kinds import INPUT_KINDS, load_kind
from eenas.tasks.task import Task
from tests.plugin_page import write_files
from tests.smallest_study import SETTINGS, url
from tests.token_sets import INPUTS, KIND, token_net, token_task

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write_files(tmp_path))
    return tmp_path


def test_sets_of_points_are_searched_trained_exported_and_run(folder):
    given = {"task": "./my_points.py:task", "trust_code": True, "device": "cpu"}
    results = search("./my_points.py:net", storage=url(folder), trials=1, overrides=SETTINGS, space="small", **given)
    name = next(each.name for each in results.networks if len(each.points[0].shares) > 1)
    run = train(url(folder), out=folder / "run", choice=Choice(network=name), device="cpu", trust_code=True)
    assert run.transform is not None
    out = export(folder / "run" / "model", run=run.folder, format="onnx", storage=url(folder), trust_code=True)
    model = load_model(out, trust_code=True)
    generator = np.random.default_rng(0)
    sets = [generator.normal(size=(count, 3)) for count in (5, 30, 12)]
    together = model.predict(model.preprocess(sets))
    for row, points in enumerate(sets):
        alone = model.predict(model.preprocess(points))
        np.testing.assert_allclose(alone.logits[0], together.logits[row], atol=1e-4)
    assert "./my_points.py:POINTS" in (out / "README.md").read_text()


def test_a_network_of_ids_is_searched_on_their_features(tmp_path):
    results = search(
        token_net(), task=token_task(), storage=url(tmp_path), trials=1, overrides=SETTINGS, space="small", device="cpu"
    )
    assert {len(each.points) > 0 for each in results.networks} == {True}
    assert max(each.points[-1].accuracy for each in results.networks) > 0.6


def test_a_table_of_a_kind_that_was_not_loaded_needs_trust(folder):
    table = {"kind": "./my_net.py:make"}
    with pytest.raises(PluginError, match="runs Python code"):
        load_kind(table, trust_code=False)
    with pytest.raises(SpecError, match=r"'./my_net.py:make' must be an eenas.tasks.InputKind, got the function make"):
        load_kind(table, trust_code=True)
    for read in (transform_from_table, preprocessing_from):
        with pytest.raises(PluginError, match="runs Python code"):
            read({"kind": "./my_points.py:OTHER"})
        with pytest.raises(SpecError, match="unknown kind of input 'sounds'"):
            read({"kind": "sounds"})
    load_kind({"channels": 3}, trust_code=False)


def test_classes_of_a_kind_that_do_not_fit_are_named(folder, monkeypatch):
    wrong = InputKind(transform=int, preprocessing=dict)
    monkeypatch.setitem(INPUT_KINDS._trusted, "wrong:KIND", wrong)
    with pytest.raises(BackboneError, match=r"transform of 'wrong:KIND' must be a class derived from"):
        transform_from_table({"kind": "wrong:KIND"})
    with pytest.raises(InputError, match=r"preprocessing of 'wrong:KIND' must be a class derived from"):
        preprocessing_from({"kind": "wrong:KIND"})


def test_a_network_needs_samples_of_its_kind():
    with pytest.raises(BackboneError, match=r"takes tests.token_sets:TOKENS: .*, and the task has images"):
        load_backbone(token_net(), num_classes=3, inputs=image_input(8, 3))
    module = token_net()
    del module.eenas_transform
    with pytest.raises(BackboneError, match="give the module an attribute eenas_transform"):
        load_backbone(module, num_classes=3, inputs=INPUTS)
    assert load_backbone(token_net(), num_classes=3).transform.inputs == INPUTS


@pytest.mark.parametrize("kind", ["", "points", "a b:c"])
def test_a_kind_is_a_known_name_or_a_reference(kind):
    with pytest.raises(SpecError, match="an input is one of images, series, text, graphs"):
        InputSpec(kind=kind, tensors=INPUTS.tensors)
    table = INPUTS.to_table()
    assert (table["kind"], InputSpec.from_table(table)) == (KIND, INPUTS)


def test_arrays_hold_no_other_kinds():
    with pytest.raises(TaskError, match=r"task.input is one of images, series, got 'graphs'"):
        Task.from_arrays("x", np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1]), input="graphs")


def test_inputs_know_their_channels():
    assert image_input(8, 3).channels == 3
    assert INPUTS.channels is None
    axes = (Axis("channel", None), Axis("time", 8))
    assert InputSpec(kind="series", tensors=(("x", TensorSpec("float32", axes)),)).channels is None
