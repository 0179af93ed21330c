"""The contract tests of a backbone, from loading to a network that stops early."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.extra_state import split_state
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.designs.placement import uniform
from eenas.measurement.macs import count_macs
from eenas.networks.assembly import build_network
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.seeding import seeded
from eenas.tasks.images.frame import Size
from eenas.tasks.inputs import InputSpec
from eenas.testing.named import home_of

TOLERANCE = 1e-5
"""The maximum difference between the chain of segments and the module, relative to the largest logit."""


class BackboneContract:
    """A pytest class for a backbone. Derive from it and set `backbone`.

        class TestMine(BackboneContract):
            backbone = "./net.py:make"

    `backbone` is a module, a function that returns one, or a name as in a study. `num_classes` and `input_size` are
    those of a suitable task. `inputs` replaces `input_size` if the inputs are not colour images.
    """

    backbone: ClassVar["str | nn.Module | Callable[[], nn.Module]"]
    num_classes: ClassVar[int] = 5
    input_size: ClassVar[Size | None] = None
    inputs: ClassVar[InputSpec | None] = None

    def test_it_answers(self) -> None:
        """Logits are finite float32 `[N, num_classes]` and do not depend on the rest of the batch."""
        check_answers(self.loaded())

    def test_it_is_cut(self) -> None:
        """There is at least one cut point, the chain of segments equals the module, and MACs can be counted."""
        check_cuts(self.loaded())

    def test_it_is_made_again(self) -> None:
        """A second instance has the same state names, loads the state of the first, and then gives the same logits."""
        check_state(self.loaded(), self.loaded())

    def test_it_trains_with_branches(self) -> None:
        """A step on the joint loss changes the branches and the backbone."""
        check_training(self.loaded())

    def test_it_stops(self) -> None:
        """A network on it gives samples the same logits whether or not other samples leave."""
        check_stopping(self.loaded())

    def loaded(self) -> Backbone:
        """Return the backbone as a study loads it. Each call returns a new one."""
        home: Path = home_of(self)
        given = type(self).__dict__.get("backbone", type(self).backbone)
        if isinstance(given, staticmethod):
            given = given.__func__
        if isinstance(given, nn.Module):
            given = copy.deepcopy(given)
        elif not isinstance(given, str):
            given = given()
        with seeded(0):
            return load_backbone(
                given,
                num_classes=self.num_classes,
                input_size=self.input_size,
                inputs=self.inputs,
                trust_code=True,
                relative_to=home,
            )


@torch.no_grad()
def check_answers(backbone: Backbone) -> None:
    """Check the logits of a backbone. Raises AssertionError with the violated rule."""
    module, x = evaluated(backbone.module, device="cpu"), backbone.example(5).cpu()
    logits = module(x)
    shape = (5, backbone.num_classes)
    assert isinstance(logits, Tensor), f"a backbone must return one tensor, got {type(logits).__name__}"
    assert tuple(logits.shape) == shape, f"logits must be {shape}, got {tuple(logits.shape)}"
    assert logits.dtype == torch.float32, f"logits must be float32, got {logits.dtype}"
    assert torch.isfinite(logits).all(), "logits must be finite"
    for index in range(5):
        alone = module(x[index : index + 1])[0]
        assert torch.allclose(alone, logits[index], atol=1e-4, rtol=1e-4), (
            "a sample's logits must not depend on its batch"
        )


@torch.no_grad()
def check_cuts(backbone: Backbone) -> None:
    """Check the cut points of a backbone. Raises AssertionError with the violated rule."""
    points = backbone.cut_points
    assert points, "a backbone needs a cut point: one tensor before the classifier through which all paths go"
    module, x = evaluated(backbone.module, device="cpu"), backbone.example(3).cpu()
    chain = Chain.built_from(copy_of(module), x, [point.name for point in points])
    expected = module(x)
    far = float((chain(x) - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    assert far <= TOLERANCE, f"the chain of segments differs from the module by {far:.1e} of the largest logit"
    for k, point in enumerate(points):
        found = tuple(chain.prefix(k)(x).shape[1:])
        assert found == tuple(point.shape.dims), (
            f"features at {point.name} are {found}, the cut point says {point.shape}"
        )
    assert count_macs(module, x) > 0, "the backbone must have MACs"


@torch.no_grad()
def check_state(one: Backbone, other: Backbone) -> None:
    """Check that the state of one backbone is sufficient for another of the same name. Raises AssertionError."""
    tensors, names = split_state(one.module.state_dict())[0], set(split_state(other.module.state_dict())[0])
    assert set(tensors) == names, f"a second instance has other names in its state: {sorted(set(tensors) ^ names)[:3]}"
    other.module.load_state_dict(one.module.state_dict())
    here, there = (evaluated(each.module, device="cpu") for each in (one, other))
    x = one.example(3).cpu()
    assert torch.equal(here(x), there(x)), "a second instance with the same state must return the same logits"
    assert [point.name for point in one.cut_points] == [point.name for point in other.cut_points], (
        "a second instance must have the same cut points"
    )


def check_training(backbone: Backbone) -> None:
    """Check one step on the joint loss. Raises AssertionError with the violated rule."""
    network = build_network(_design(backbone), backbone).train()
    before = {name: value.clone() for name, value in network.named_parameters()}
    labels = torch.arange(4) % backbone.num_classes
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = torch.stack([nn.functional.cross_entropy(z, labels) for z in network(backbone.example(4))]).sum()
    assert torch.isfinite(loss), "the loss must be finite"
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    moved = [name for name, value in network.named_parameters() if not torch.equal(value, before[name])]
    assert any(name.startswith("branches") for name in moved), "a step must change the branches"
    assert any(not name.startswith("branches") for name in moved), "a step must change the backbone"


@torch.no_grad()
def check_stopping(backbone: Backbone) -> None:
    """Check a network with half of its samples leaving early. Raises AssertionError."""
    design = _design(backbone)
    network, x = build_network(design, backbone).eval(), backbone.example(8)
    together = [logits.cpu() for logits in network(x)]
    sure = together[0].softmax(dim=1).amax(dim=1).double().numpy()
    exits = len(design.exits)
    policy = ThresholdPolicy(
        score="max_softmax",
        temperatures=(1.0,) * exits,
        thresholds=(float(np.median(sure)), *(None,) * (exits - 2)),
    )
    answer = network.predict(x, policy)
    assert 0 < int((answer.exits == 0).sum()) < 8, "half of the samples must leave at the first exit"
    for index, k in enumerate(answer.exits.tolist()):
        near = torch.allclose(answer.logits[index].cpu(), together[k][index], atol=1e-4, rtol=1e-3)
        assert near, f"exit {k} returns other logits if samples leave than if all stay"


def _design(backbone: Backbone) -> Design:
    """Return a design with one or two branches of one linear layer, evenly placed."""
    points = backbone.cut_points
    where = uniform(min(2, len(points)), len(points))
    shapes = [points[position].shape for position in where]
    branches = tuple(PoolFc(pool="avg", size=1) if shape.kind == "map" else Fc() for shape in shapes)
    return Design(
        backbone=backbone.name,
        num_classes=backbone.num_classes,
        inputs=backbone.transform.inputs,
        branches=tuple(Placed(points[i].name, branch) for i, branch in zip(where, branches, strict=True)),
    )
