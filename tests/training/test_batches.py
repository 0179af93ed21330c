"""Training batches: the same for the same seed, and a reader that leaves the cores to the training."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from eenas.backbones.transforms.image_transform import default_transform
from eenas.testing.smallest import smallest_task
from eenas.training.batches import Batches


@pytest.fixture
def threads():
    """More threads than one, so that a difference shows."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def batches(**options):
    given = {"batch_size": 16, "seed": 1, "flip": True, "device": torch.device("cpu"), **options}
    return Batches(smallest_task().train, default_transform(8, 3), **given)


def test_the_reader_has_one_thread_and_all_others_keep_theirs(threads):
    found = batches()
    source, seen = found._source, []

    class Spy:
        def __getitem__(self, indices):
            seen.append(torch.get_num_threads())
            return source[indices]

    found._source = Spy()
    for _ in found.epoch(0):
        assert torch.get_num_threads() == threads
    assert set(seen) == {1}
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == threads


def test_the_same_key_epoch_and_step_give_the_same_images():
    def images(epoch, **options):
        return torch.stack([batch for batch, _ in batches(**options).epoch(epoch)])

    assert batches().key == batches().key
    assert torch.equal(images(0), images(0))
    assert torch.equal(torch.stack([batch for batch, _ in batches().epoch(0, skip=2)]), images(0)[2:])
    assert not torch.equal(images(0), images(1))
    for other in ({"seed": 2}, {"flip": False}, {"flip": None}):
        assert batches(**other).key != batches().key
        assert not torch.equal(images(0, **other), images(0))
