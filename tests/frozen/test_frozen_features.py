"""Features of a frozen backbone: those of the whole network, no more of it run than needed, and shuffled batches."""

from contextlib import closing
from itertools import islice

import pytest
import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.frozen.frozen_features import feature_batches, read_features, read_prefix
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.batches import Batches
from eenas.training.execution import Execution


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return load_backbone(smallest_backbone(smallest_task().num_classes), num_classes=4, input_size=8)


@pytest.fixture
def module(backbone):
    return backbone.module.eval()


@pytest.fixture
def names(backbone):
    found = [point.name for point in backbone.cut_points]
    assert len(found) >= 2
    return found


def new_batches(backbone):
    task = smallest_task()
    return Batches(task.train, backbone.transform, batch_size=32, seed=3, flip=None, device=torch.device("cpu"))


def test_a_prefix_has_the_features_of_the_whole_in_any_order_of_names(backbone, module, names):
    x = backbone.example(2)
    whole, logits = read_features(module, names, x)
    assert torch.equal(logits, module(x).float())
    assert not logits.requires_grad
    for asked in (names, names[::-1], names[:1]):
        prefix = read_prefix(module, asked, x)
        assert prefix.keys() == set(asked)
        assert all(torch.equal(value, whole[name]) for name, value in prefix.items())
    assert not any(part._forward_hooks for part in module.modules())


def test_what_lies_behind_the_deepest_cut_point_is_not_run(backbone, module, names):
    run = []
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    handle = last.register_forward_hook(lambda *call: run.append(1))
    read_prefix(module, names, backbone.example(2))
    assert run == []
    read_features(module, names, backbone.example(2))
    assert run == [1]
    handle.remove()


def test_an_error_of_the_network_passes_and_leaves_no_hook(module, names):
    with pytest.raises(RuntimeError):
        read_prefix(module, names, torch.zeros(2, 1))
    assert not any(part._forward_hooks for part in module.modules())


def test_batches_go_on_from_any_of_them_epoch_after_epoch(backbone, module, names):
    steps, asked = new_batches(backbone).steps(), 2 * new_batches(backbone).steps() + 1
    assert steps >= 2

    def read(first, number):
        with closing(feature_batches(module, names, new_batches(backbone), Execution(), first=first)) as found:
            return list(islice(found, number))

    whole = read(0, asked)
    first_epoch, second_epoch = (
        torch.cat([labels for _, labels in whole[k * steps : (k + 1) * steps]]) for k in (0, 1)
    )
    assert not torch.equal(first_epoch, second_epoch)
    for first in (1, steps, steps + 1):
        for (features, labels), (same, same_labels) in zip(read(first, asked - first), whole[first:], strict=True):
            assert torch.equal(labels, same_labels)
            assert all(torch.equal(features[name], same[name]) for name in names)
