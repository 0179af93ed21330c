"""The halves of the smallest exported model, and samples of which some stay behind its first exit."""

import numpy as np
import pytest

from eenas.programs.manifest import read_manifest
from eenas.programs.remote.half_folders import write_halves
from eenas.testing.smallest import smallest_task


@pytest.fixture(scope="session")
def halves(exported, tmp_path_factory):
    """The folders of the edge and of the cloud, split at the first exit; for reading only."""
    folder = tmp_path_factory.mktemp("halves")
    folders = folder / "edge", folder / "cloud"
    write_halves(read_manifest(exported), "0", folders)
    return folders


@pytest.fixture(scope="session")
def batch():
    """All 60 images of the test split, as the model takes them."""
    part = smallest_task().test
    return part.images(8, 3)[np.arange(len(part))].numpy()
