"""The smallest network with experts, whose exits all differ and whose classifier chooses by the contrast."""

import torch

from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.networks.assembly import build_network
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.own_norms import norms_of
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier
from eenas.tasks.recognition.distortion_features import IMAGE_FEATURES
from tests.smallest_networks import loaded, small_design

NAMES = ("pristine", "gaussian_blur", "gaussian_noise")


def classifier_of(transform, names=NAMES):
    """A classifier that chooses by the spread of the grey levels: below 26, from 26 to 55, and above."""
    only_spread = (0.0,) * (IMAGE_FEATURES - 1)
    return DistortionClassifier(
        kinds=names,
        shape=transform.shape,
        mean=transform.mean,
        std=transform.std,
        centre=(5.0,) * IMAGE_FEATURES,
        scale=(1.0,) * IMAGE_FEATURES,
        weights=((*only_spread, -1.0), (*only_spread, 0.0), (*only_spread, 1.0))[: len(names)],
        biases=(2.0, 0.5, -2.5)[: len(names)],
    )


def base_network(*, cascade=False, static=False, **training):
    """Two branches and the final exit (or one branch), with running statistics that are not the initial ones."""
    second = Cascade(branch=PoolFc(pool="avg", size=1)) if cascade else PoolFc(pool="avg", size=1)
    branches = (Placed("0", Fc()), Placed("2", second))[: 1 if static else 2]
    backbone = loaded()
    network = build_network(small_design(*branches, static=static, **training), backbone, seed=1)
    with torch.no_grad():
        network.train()
        for _ in range(3):
            network(torch.randn(16, 3, 8, 8))
    return network.eval()


def expert_network(base=None, *, final_layer="4.2", own_norms=False):
    """The network, with other weights in the exits of every expert but the first, and in its own normalisation."""
    base = base_network() if base is None else base
    network = ExpertNetwork(
        base,
        classifier_of(base.transform),
        final_layer=None if base.design.static else final_layer,
        own_norms=own_norms,
    )
    with torch.no_grad():
        for number in (1, 2):
            for parameter in network.expert(number).parameters():
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
        for number in (1, 2) if own_norms else ():
            for norm in norms_of(network.body_of(number)).values():
                norm.running_mean.add_(0.05 * number)
                norm.running_var.mul_(1 + 0.5 * number)
    return network


def policy_for(network, *values):
    """Thresholds for each expert."""
    exits = len(network.exits)
    return ExpertPolicy(
        names=NAMES,
        policies=tuple(
            ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * exits, thresholds=(value,) * (exits - 1))
            for value in values
        ),
    )
