"""Pictures of a folder at a height that is not their width, from the files to the answers of exported programs."""

import numpy as np
import torch
from PIL import Image

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.deployment.program_folder import write_model
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.networks.tables import batches
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.model_folder import Package, load
from eenas.programs.parity import validation_samples
from eenas.programs.programs import Programs
from eenas.programs.runtime import load as open_model
from eenas.tasks.images.image_input import image_input
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from tests.exported import BACKBONE

SIZE = (8, 20)


def test_from_a_folder_to_the_runtime(tmp_path):
    for name in ("cat", "owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            values = np.random.default_rng(number).integers(0, 256, (30 + number, 61, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{number}.png")
    task = load_task(TaskSpec(spec=f"folder:{tmp_path}/photos", input_size=SIZE, fit="pad", flip=False))
    assert task.inputs == image_input(SIZE, 3, "pad")
    backbone = load_backbone(BackboneSpec(BACKBONE), num_classes=2, inputs=task.inputs, trust_code=True)
    placed = (Placed(cut_point="1", branch=PoolFc(pool="max", size=2)),)
    transform = backbone.transform.fitted(task)
    design = Design(backbone=BACKBONE, num_classes=2, inputs=transform.inputs, branches=placed)
    network = build_network(design, backbone, classes=task.classes).eval()
    network.transform = transform
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0, 1.0), thresholds=(0.5,))
    package = Package(
        network=network, backbone=BackboneSpec(name=BACKBONE), trained=False, measured={}, card="# Wide\n"
    )
    out = write_model(package, tmp_path / "out", Programs(format="onnx"), validation_samples(network, task))
    model, again = open_model(out), load(out, trust_code=True)
    assert again.design.inputs == again.transform.inputs == image_input(SIZE, 3, "pad")
    given = model.preprocess([task.test.samples.files[row] for row in task.test.rows])
    assert given.shape == (len(task.test), 3, *SIZE)
    (expected,) = batches(again, task.test, len(task.test), torch.device("cpu"))
    np.testing.assert_allclose(model.manifest.preprocessing(given), expected.numpy(), atol=0.02)
    assert model.predict(given).classes.tolist() == again.predict(expected).classes.tolist()
