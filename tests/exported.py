"""A small trained network on the smallest task, as it is exported: what tests of programs share."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from eenas.backbones.load import BackboneSpec
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import batches, exit_table
from eenas.policies.costs import Costs
from eenas.policies.fit import Fitting
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import evaluate
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures
from eenas.programs.model_folder import Package
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import loaded, small_design

MACS = np.array([2e4, 5e4, 1e5])
BACKBONE_MACS = 9e4
BACKBONE = "eenas.testing.smallest:smallest_backbone"
BRANCHES = (
    Placed(cut_point="0", branch=PoolFc(pool="max", size=2)),
    Placed(cut_point="2", branch=PoolFc(pool="max", size=2)),
)


def smallest_package(branches=BRANCHES, loss_weights="equal", policy=None) -> Package:
    """The smallest backbone with two branches after a few steps of training, measured as a run is.

    A third of the test samples leaves at the first branch, half of those who stay at the second, unless another
    `policy` is given.
    """
    network, measured = _trained(branches, loss_weights)
    network.policy = policy or network.policy
    return Package(
        network=network, backbone=BackboneSpec(name=BACKBONE), trained=True, measured=measured, card="# Smallest\n"
    )


def images(split="test"):
    """All images of a split as the network takes them, float32 [N, 3, 8, 8], and as they are, uint8."""
    network, _ = _trained(BRANCHES, "equal")
    part = smallest_task().split(split)
    raw = part.images(8, 3)[np.arange(len(part))]
    return torch.cat(list(batches(network, part, 100, torch.device("cpu")))).numpy(), raw.numpy()


@cache
def _learned(branches, loss_weights):
    torch.manual_seed(0)
    backbone = loaded()
    design = small_design(*branches, backbone=BACKBONE)
    design = replace(design, training=replace(design.training, loss_weights=loss_weights))
    task = smallest_task()
    network = build_network(design, backbone, classes=task.classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    (x,) = batches(network, task.train, len(task.train), torch.device("cpu"))
    labels = torch.from_numpy(np.array(task.train.labels))
    for _ in range(8):
        optimizer.zero_grad()
        sum(cross_entropy(logits, labels) for logits in network.train()(x)).backward()
        optimizer.step()
    return network.eval().state_dict()


def _trained(branches, loss_weights):
    backbone = loaded()
    design = small_design(*branches, backbone=BACKBONE)
    design = replace(design, training=replace(design.training, loss_weights=loss_weights))
    task = smallest_task()
    network = build_network(design, backbone, classes=task.classes).eval()
    network.load_state_dict(_learned(branches, loss_weights))
    costs = ExitCosts(Costs.of(macs=MACS, latency=np.array([0.2, 0.5, 1.0])), 0)
    calibration, test = (exit_table(network, task.split(name), costs) for name in ("calibration", "test"))
    temperatures = tuple(fit_temperatures(calibration).tolist())
    fitting = Fitting(calibration)
    scores = branch_scores(test.logits, temperatures)
    first = float(np.quantile(scores[:, 0], 2 / 3))
    thresholds = (first, float(np.median(scores[scores[:, 0] < first, 1])))
    middle = ThresholdPolicy(score="max_softmax", temperatures=temperatures, thresholds=thresholds)
    network.policy = middle
    exits = [
        {"name": name, "macs": float(MACS[k]), "temperature": temperatures[k], "accuracy": 0.5, "share": 0.1}
        for k, name in enumerate(network.exits)
    ]
    measured = {
        "backbone": {"name": BACKBONE, "macs": BACKBONE_MACS},
        "exits": exits,
        "reported": evaluate(middle, test).to_table(),
        "points": [point.to_table() for point in fitting.operating_points(test)],
    }
    return network, measured
