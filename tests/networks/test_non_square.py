"""Inputs that are not square, through backbone, branches, training step, counting and programs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eenas.backbones.load import load_backbone
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.branches.presets import sdn
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.networks.tables import batches
from eenas.programs.exit_segment import segment_programs
from eenas.specs import from_table, to_table
from eenas.tasks.images.augmentation import augment
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.picture import prepare_picture
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone
from tests.smallest_networks import small_design

SIZE = (16, 40)


@pytest.mark.parametrize("name", ["cifar_resnet20", "branchynet_alexnet", "branchynet_lenet"])
def test_a_network_takes_its_size(name):
    backbone = load_backbone(name, num_classes=3, input_size=SIZE)
    assert backbone.transform.shape[1:] == SIZE
    assert from_table(InputTransform, to_table(backbone.transform)) == backbone.transform
    with torch.no_grad():
        assert backbone.module(backbone.example()).shape == (2, 3)


def test_a_design_is_built_trained_and_split():
    backbone = load_backbone("cifar_resnet20", num_classes=2, input_size=SIZE)
    point = backbone.cut_points[2].name
    design = small_design(Placed(cut_point=point, branch=sdn()), size=SIZE, backbone=backbone.name, num_classes=2)
    assert Design.from_json(design.to_json()).digest == design.digest
    network = build_network(design, backbone)
    images = np.random.default_rng(0).integers(0, 256, (40, *SIZE, 3), dtype=np.uint8)
    task = Task.from_arrays("wide", images, np.arange(40) % 2, input_size=SIZE)
    raw = augment(task.train.images(None, 3)[np.arange(4)], flip=True, generator=torch.Generator().manual_seed(0))
    assert raw.shape == (4, 3, *SIZE)
    loss = torch.stack(network.train()(network.transform(raw))).square().mean()
    loss.backward()
    x = network.eval().transform(raw)
    segments = segment_programs(network)
    with torch.no_grad():
        expected, features = network(x), x
        for segment, logits in zip(segments, expected, strict=True):
            *features, found = segment.program.module()(features)
            features = features[0] if features else None
            assert torch.allclose(found, logits, atol=1e-4)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_images_are_fitted_as_the_network_says_whatever_the_task_does(fit):
    backbone = load_backbone(smallest_backbone(), num_classes=2, input_size=8)
    network = build_network(small_design(backbone=backbone.name, num_classes=2), backbone)
    network.transform = replace(network.transform, fit=fit)
    images = np.random.default_rng(0).integers(0, 256, (40, 10, 16, 3), dtype=np.uint8)
    task = Task.from_arrays("wide", images, np.arange(40) % 2, input_size=8)
    (found,) = batches(network, task.test, len(task.test), torch.device("cpu"))
    shown = [prepare_picture(images[row], Frame(8, 8, fit), 3) for row in task.test.rows]
    torch.testing.assert_close(found, network.transform(torch.from_numpy(np.stack(shown))), atol=0.02, rtol=0)
    assert not torch.allclose(found, network.transform(task.test.images(8, 3)[np.arange(len(task.test))]), atol=0.1)
