"""Parts that branches share while they are trained."""

import torch
from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import shared_parts
from eenas.branches.fc import Fc
from eenas.branches.presets import deebert, pabee

TEXT = FeatureShape((12, 9), carried=1, prefix_tokens=1, is_set=True)
WIDE = FeatureShape((12, 17), carried=1, prefix_tokens=1, is_set=True)


def test_poolers_are_one_inside_the_block_and_equal_after_it() -> None:
    torch.manual_seed(0)
    modules = [pabee().build(TEXT, 3) for _ in range(3)]
    apart, wide, plain = deebert().build(TEXT, 3), pabee().build(WIDE, 3), Fc().build(TEXT, 3)
    network = nn.ModuleList([*modules, apart, wide, plain])
    own = apart[1]
    with shared_parts(network.children()):
        assert modules[0][1] is modules[1][1] is modules[2][1]
        assert apart[1] is own
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        loss = sum(module(TEXT.example(4)).square().mean() for module in modules)
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        optimizer.step()
    poolers = [module[1] for module in modules]
    assert len({id(pooler) for pooler in poolers}) == 3
    assert all(torch.equal(pooler.weight, poolers[0].weight) for pooler in poolers)
    assert len({pooler.weight.data_ptr() for pooler in poolers}) == 3
    assert not torch.equal(modules[0][4].weight, modules[1][4].weight)
    assert wide[1].in_features == 16


def test_what_shares_nothing_stays() -> None:
    module = Fc().build(TEXT, 3)
    parts = list(module.children())
    with shared_parts([module]):
        assert list(module.children()) == parts
    assert list(module.children()) == parts
