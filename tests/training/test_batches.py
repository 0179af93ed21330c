"""Training batches: the same for the same seed, and a reader that leaves the cores to the training."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from eenas.backbones.transforms.image_transform import default_transform
from eenas.errors import SpecError, TrainingError
from eenas.testing.smallest import smallest_task
from eenas.training.batches import Batches, training_batches
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec


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


@pytest.mark.parametrize(("size", "micro"), [(1, None), (2, None), (3, None), (1, 5), (3, 3)])
def test_processes_and_micro_batches_share_each_batch_of_one_process(size, micro):
    whole = batches(batch_size=15)
    shares = [batches(batch_size=15, group=ProcessGroup(rank, size)).in_micro_batches(micro) for rank in range(size)]
    orders = [each._order(2) for each in shares]
    assert {each.steps() for each in shares} == {whole.steps()}
    assert {each.samples for each in shares} == {whole.samples}
    assert len({len(order) for order in orders}) == 1, "collective operations need the same number everywhere"
    parts = shares[0].parts
    for step, wanted in enumerate(whole._order(2)):
        found = np.concatenate([np.concatenate(order[step * parts : (step + 1) * parts]) for order in orders])
        assert found.tolist() == wanted.tolist()
    assert max(len(part) for order in orders for part in order) <= (micro or 15)
    assert min(len(part) for order in orders for part in order) == shares[0].smallest >= 2


def test_micro_batches_of_later_steps_are_those_of_the_whole_epoch():
    found = batches().in_micro_batches(6)
    whole = [labels.tolist() for _, labels in found.epoch(1)]
    assert [labels.tolist() for _, labels in found.epoch(1, skip=3)] == whole[3 * found.parts :]
    assert [labels.tolist() for labels in found.labels(1)] == whole


def test_augmentation_is_drawn_for_each_micro_batch_of_each_process():
    drawn = []

    class Spy:
        @staticmethod
        def augmented(samples, *, flip, generator):
            drawn.append(generator.initial_seed())
            return samples

    for rank in range(2):
        found = batches(group=ProcessGroup(rank, 2)).in_micro_batches(4)
        found._samples = Spy
        assert found.parts == 2
        assert len(list(found.epoch(0))) == 2 * found.steps()
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(("processes", "micro"), [(9, None), (1, 2), (5, None)])
def test_a_part_of_one_sample_is_refused_with_the_size_that_fits(processes, micro):
    task, spec = smallest_task(), TrainingSpec(epochs=1, batch_size=9, micro_batch_size=micro)
    group = ProcessGroup(0, processes)
    with pytest.raises(TrainingError, match=r"a batch of 9 over .* fewer than 2 samples .* set batch_size to \d+ or"):
        training_batches(task.train, task, default_transform(8, 3), spec, 1, torch.device("cpu"), group)


def test_a_micro_batch_of_one_sample_is_refused():
    with pytest.raises(SpecError, match="micro_batch_size must be at least 2"):
        TrainingSpec(epochs=1, micro_batch_size=1)
