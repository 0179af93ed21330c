"""What several files of tests of deployment share."""

import pytest

from eenas.deployment.expert_addition import add_experts
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.expert_training import ExpertTraining
from eenas.programs.model_folder import write_folder
from eenas.testing.smallest import smallest_task
from tests.exported import smallest_package

SPEC = ExpertSpec(
    kinds=("contrast", "gaussian_noise"),
    severities=(3, 5),
    training=ExpertTraining(samples=1280, batch_size=32),
    batch_norm="shared",
)


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory):
    """The smallest trained network, exported without programs; for reading only."""
    return write_folder(smallest_package(), tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture(scope="session")
def experts(plain_model, tmp_path_factory):
    """The same network with two experts and programs, and the result of adding them; for reading only."""
    out = tmp_path_factory.mktemp("experts") / "model"
    return add_experts(
        plain_model, smallest_task(), out, SPEC, format="onnx", max_macs=0.8, trust_code=True, backbone=None
    )
