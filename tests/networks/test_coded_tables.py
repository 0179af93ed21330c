"""Exit tables with coded features: exits up to the cut point keep their logits, those behind it see the code."""

import numpy as np
import pytest
from torch import nn

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import MeasurementError
from eenas.networks.assembly import build_network
from eenas.networks.coded_tables import coded_table
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.programs.remote.feature_codec import decode_features, encode_features
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import loaded, small_design

BRANCH = PoolFc(pool="avg", size=1)


def network_and_costs(**design):
    placed = [Placed(cut_point=name, branch=BRANCH) for name in ("0", "1", "2")]
    network = build_network(small_design(*placed, **design), loaded()).eval()
    return network, ExitCosts(Costs.of(macs=np.arange(1, 1 + len(network.exits))), 1)


def int8(features):
    return decode_features(encode_features(features, "int8"))


def test_only_exits_behind_the_cut_point_see_the_code():
    network, costs = network_and_costs()
    split = smallest_task().validation
    plain = exit_table(network, split, costs).logits
    coded = coded_table(network, split, costs, {"1": int8}).logits
    assert (coded[:, :2] == plain[:, :2]).all()
    assert (coded[:, 2:] != plain[:, 2:]).any(axis=(0, 2)).all()
    assert np.abs(coded - plain).max() < 0.1 * np.abs(plain).max(), "int8 changes features by half a step at most"
    zeroed = coded_table(network, split, costs, {"1": np.zeros_like}).logits
    assert (zeroed[:, 2:] == zeroed[:1, 2:]).all(), "nothing of the sample crossed the link"
    assert (exit_table(network, split, costs).logits == plain).all(), "a hook was left behind"


def test_codes_at_several_cut_points_act_one_after_another():
    network, costs = network_and_costs()
    split = smallest_task().validation
    plain = exit_table(network, split, costs).logits
    both = coded_table(network, split, costs, {"0": int8, "2": int8}).logits
    assert (both[:, 0] == plain[:, 0]).all()
    assert (both[:, 1:] != plain[:, 1:]).any(axis=(0, 2)).all()
    assert (coded_table(network, split, costs, {"0": np.copy, "2": np.copy}).logits == plain).all()
    assert (coded_table(network, split, costs, {}).logits == plain).all()


def test_a_network_that_stops_early_is_left_without_hooks():
    branch = Placed(cut_point="2", branch=BRANCH)
    network = build_network(small_design(branch, static=True), loaded()).eval()
    costs, split = ExitCosts(Costs.of(macs=[1.0]), 1), smallest_task().validation
    plain = exit_table(network, split, costs).logits
    assert (coded_table(network, split, costs, {"1": int8}).logits != plain).any()
    assert (coded_table(network, split, costs, {"2": int8}).logits == plain).all()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_features_that_are_not_one_tensor_are_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    network, costs = network_and_costs()
    network.backbone.append(Pair())
    with pytest.raises(MeasurementError, match="the features at '5' are not one tensor"):
        coded_table(network, smallest_task().validation, costs, {"5": int8})
