"""Settings of all tests: properties are bounded in examples, never in seconds; sums are added up in one order."""

import os

import pytest
import torch
from hypothesis import settings

settings.register_profile("eenas", deadline=None)
settings.load_profile("eenas")

torch.set_num_threads(1)  # two trainings that are compared bit by bit do not differ by how threads shared a sum


@pytest.fixture(autouse=True, scope="session")
def cache_of_pictures(tmp_path_factory):
    """What tests find out of picture files is not kept for other sessions."""
    os.environ["EENAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The smallest network with ONNX programs and a single file, compared on the smallest task; for reading only."""
    from eenas.deployment.parity import some_samples
    from eenas.deployment.program_folder import write_model
    from eenas.deployment.programs import Programs
    from eenas.testing.smallest import smallest_task

    from .exported import smallest_package

    package = smallest_package()
    samples = some_samples(package.network, smallest_task())
    return write_model(
        package, tmp_path_factory.mktemp("exported") / "model", Programs(format="onnx", single_file=True), samples
    )
