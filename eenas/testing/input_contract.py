"""The contract tests of a kind of input: its samples, its transform, its preprocessing, and a network for it."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from eenas.backbones.copies import evaluated
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.backbones.transforms.transform import Transform
from eenas.branches.fc import Fc
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.model_folder import Package, load, write_folder
from eenas.programs.parity import compare, validation_samples
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.programs import Programs
from eenas.programs.runtime import load as load_model
from eenas.tasks.kinds import INPUT_KINDS
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.testing.named import home_of
from eenas.testing.task_contract import check_samples, check_splits

_CLOSE = 1e-4


class InputContract:
    """A pytest class for a kind of input. Derive from it and set `kind`, `task` and `backbone`.

        class TestMine(InputContract):
            kind, task, backbone = "./mine.py:KIND", "./mine.py:task", "./mine.py:net"

    `kind` is the reference of an `eenas.tasks.InputKind`, `task` a task of such samples and `backbone` a network for
    them, both as in a study.
    """

    kind: ClassVar[str]
    task: ClassVar[str]
    backbone: ClassVar[str]

    def test_its_tables(self) -> None:
        """The kind is in the task's inputs. Transform and preprocessing are made again from the table of either."""
        task, backbone = self.loaded()
        check_tables(self.kind, task, backbone.transform)

    def test_its_samples(self) -> None:
        """Samples are finite, the same each time, and independent of those read with them, but for padding."""
        task, _ = self.loaded()
        check_splits(task)
        check_samples(task)

    def test_its_transform(self) -> None:
        """The transform gives the stated shape, and the same for a sample alone; its NumPy equivalent agrees."""
        task, backbone = self.loaded()
        check_transform(task, backbone.transform)

    def test_its_network(self) -> None:
        """The network gives a sample the same logits in longer batches, also between its segments."""
        task, backbone = self.loaded()
        check_padding(task, backbone)

    def test_its_programs(self, tmp_path: Path) -> None:
        """An exported network is read again, and its programs answer as the network does, at several lengths."""
        task, backbone = self.loaded()
        check_programs_of(task, backbone, tmp_path, home_of(self))

    def loaded(self) -> tuple[Task, Backbone]:
        """Return the task and a backbone for it, as a study loads them."""
        home = home_of(self)
        INPUT_KINDS.find(self.kind, trust_code=True, relative_to=home)
        task = load_task(TaskSpec(spec=self.task), trust_code=True, relative_to=home)
        spec = BackboneSpec(name=self.backbone)
        found = load_backbone(spec, num_classes=task.num_classes, inputs=task.inputs, trust_code=True, relative_to=home)
        return task, found


def check_tables(kind: str, task: Task, transform: Transform) -> None:
    """Check the declarations of a kind of input. Raises AssertionError with the violated rule."""
    for what, inputs in (("the samples of the task", task.inputs), ("the inputs of the transform", transform.inputs)):
        assert inputs.kind == kind, f"{what} must be of the kind {kind!r}, got {inputs.kind!r}"
    table = json.loads(json.dumps(transform.to_table()))
    assert table.get("kind") == kind, f"the table of the transform must have kind = {kind!r}, got {table.get('kind')!r}"
    assert transform_from_table(table) == transform, f"the transform must be equal to that made again of {table}"
    shape, found = preprocessing_from(table).shape, transform.shape
    wanted = tuple(0 if axis in transform.varying else side for axis, side in enumerate(found, start=1))
    assert shape == wanted, f"the preprocessing must have the shape {wanted}, 0 for varying axes, got {shape}"


def check_transform(task: Task, transform: Transform) -> None:
    """Check a transform and the preprocessing of its table. Raises AssertionError with the violated rule."""
    preprocessing = preprocessing_from(transform.fitted(task).to_table())
    transform = transform.fitted(task)
    some = np.arange(min(len(task.train), 8))
    raw = task.train.reader(transform.inputs)[some]
    x = transform(raw.clone())
    assert x.ndim == 1 + len(transform.shape), f"the transform must give [N, {transform.shape}], got {list(x.shape)}"
    for axis, side in enumerate(transform.shape, start=1):
        assert axis in transform.varying or x.shape[axis] == side, (
            f"axis {axis} must have {side}, or be among the varying axes, got {list(x.shape)}"
        )
    example = transform.example(3)
    assert tuple(example.shape) == (3, *transform.shape), f"the example must be [3, *shape], got {list(example.shape)}"
    assert example.dtype == x.dtype, f"the example must have the type {x.dtype}, got {example.dtype}"
    assert torch.equal(example, transform.example(3)), "the example must be the same each time"
    assert str(x.dtype) == f"torch.{preprocessing.dtype}", f"dtype must be that of the transform, {x.dtype}"
    again = preprocessing(raw.numpy())
    assert again.dtype == x.numpy().dtype, f"the preprocessing must give {x.dtype}, got {again.dtype}"
    assert np.allclose(again, x.numpy(), atol=1e-5), "the preprocessing must give the same as the transform"
    assert np.array_equal(preprocessing.checked(again), again), "checked must return a batch of the preprocessing"
    blank = preprocessing.checked(preprocessing.blank(2))
    assert len(blank) == 2, f"blank must return a valid batch of 2, got {list(blank.shape)}"
    longest = transform.joined([x[:1], x])
    assert torch.equal(longest[1:], x), "joined must keep the batches and pad shorter ones"


@torch.no_grad()
def check_padding(task: Task, backbone: Backbone) -> None:
    """Check that padding changes no answer, and the exits of a network. Raises AssertionError."""
    assert backbone.cut_points, "the network needs a cut point"
    network = build_network(_two_exits(backbone), backbone, classes=task.classes).eval()
    network.transform = backbone.transform.fitted(task)
    x = _batch(task.train, network.transform, 12)
    together = network(x)
    limits = together[0].softmax(dim=1).amax(dim=1).double()
    middle = float(limits.median())
    policy = ThresholdPolicy(
        score="max_softmax", temperatures=(1.0,) * len(network.exits), thresholds=(middle,) * (len(network.exits) - 1)
    )
    answer = network.predict(x, policy)
    module = evaluated(backbone.module, device="cpu")
    for index, exit_ in enumerate(answer.exits.tolist()):
        alone = _batch(task.train, network.transform, 1, first=index)
        assert torch.allclose(module(alone)[0], together[-1][index], atol=_CLOSE, rtol=1e-3), (
            f"sample {index} must have the same logits alone and in a longer batch; leave the padding out (the mask)"
        )
        assert torch.allclose(answer.logits[index], together[exit_][index], atol=_CLOSE, rtol=1e-3), (
            f"sample {index} must have the same logits at exit {exit_} if other samples have left"
        )


def check_programs_of(task: Task, backbone: Backbone, folder: Path, home: Path) -> None:
    """Check an export of a network for this kind of input. Raises AssertionError or an error with the broken rule."""
    network = build_network(_two_exits(backbone), backbone, classes=task.classes).eval()
    network.transform = backbone.transform.fitted(task)
    thresholds = (0.5,) * (len(network.exits) - 1)
    network.policy = ThresholdPolicy(
        score="max_softmax", temperatures=(1.0,) * len(network.exits), thresholds=thresholds
    )
    package = Package(network=network, backbone=BackboneSpec(name=backbone.name), trained=True, measured={}, card="")
    for file in home.glob("*.py"):  # a folder holds the code that it names
        (folder / file.name).write_bytes(file.read_bytes())
    out = write_folder(package, folder / "model", Programs(format="onnx"))
    for file in home.glob("*.py"):
        (out / file.name).write_bytes(file.read_bytes())
    model = load_model(out, trust_code=True)
    found = compare(network, model, validation_samples(network, task, count=16))
    assert max(found.differences) < _CLOSE, f"the programs differ by {found.differences}"
    for count in (1, 3):
        x = _batch(task.test, network.transform, count)
        assert np.allclose(model.logits(x.numpy())[-1], network(x)[-1].detach().numpy(), atol=_CLOSE), (
            f"the programs must run on a batch of {list(x.shape)}"
        )
    again = load(out, trust_code=True)
    assert torch.allclose(again(x)[0], network(x)[0], atol=1e-5), "the network must be the same when it is read again"
    model.warm_up(2)


def _batch(split: Split, transform: Transform, count: int, *, first: int = 0) -> Tensor:
    rows = np.arange(first, min(first + count, len(split)))
    return transform(split.reader(transform.inputs)[rows])


def _two_exits(backbone: Backbone) -> Design:
    """Return a design with a linear branch at the first cut point, and at the middle one if there is another."""
    points = backbone.cut_points
    places = sorted({0, len(points) // 2})
    return Design(
        backbone=backbone.name,
        num_classes=backbone.num_classes,
        inputs=backbone.transform.inputs,
        branches=tuple(Placed(points[place].name, Fc()) for place in places),
    )
