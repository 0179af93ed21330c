"""The branches of published early-exit networks, said in eenas's own families."""

from collections.abc import Callable, Mapping

from eenas.branches.branch import Branch
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc

SDN_SHARES = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)
"""Shares of the backbone's MACs at which Shallow-Deep Networks place their six internal classifiers."""


def sdn() -> Branch:
    """The internal classifier of Shallow-Deep Networks (Kaya et al. 2019): mixed pooling to 4x4, one linear layer.

    As published on maps whose side is a multiple of 4, but for the mixture, which stays one (`Pooling`).
    """
    return PoolFc(pool="mixed", size=4)


def eenet() -> Branch:
    """The classifier of EENet's `pool` exit (Demir & Akbas 2019): global average, one linear layer."""
    return PoolFc(pool="avg", size=1)


def msdnet(width: int = 128) -> Branch:
    """The classifier of MSDNet (Huang et al. 2018): two strided convolutions, average, one linear layer.

    The original has 128 channels for CIFAR and those of its features for ImageNet.
    """
    return ConvPoolFc(width=width, layers=2, pool="avg", size=1)


def branchynet_lenet() -> Branch:
    """B-LeNet's branch behind `conv1` (Teerapittayanon et al. 2016): one convolution of 10 between max poolings."""
    return ConvPoolFc(width=10, layers=1, pool="max", begin="max2", norm="none")


def branchynet_alexnet_1() -> Branch:
    """B-AlexNet's branch behind `conv2` (Teerapittayanon et al. 2016): two convolutions of 32 between max poolings."""
    return ConvPoolFc(width=32, layers=2, pool="max", begin="max3", norm="response")


def branchynet_alexnet_2() -> Branch:
    """B-AlexNet's branch behind `conv3` (Teerapittayanon et al. 2016): one convolution of 32 between max poolings."""
    return ConvPoolFc(width=32, layers=1, pool="max", begin="max3", norm="response")


def ztw_conv() -> Branch:
    """The convolutional head of Zero Time Waste (Wolczyk et al. 2021): ReLU, one convolution to half the channels,
    mixed pooling to 4x4, one linear layer.

    What is left of a small map is read as it is, where the original stretches it to 4x4.
    """
    return ConvPoolFc(width=0, layers=1, pool="mixed", size=4, begin="relu", norm="none")


def ztw_vit() -> Branch:
    """The two-layer head of Zero Time Waste (Wolczyk et al. 2021) for ViT-B: 1024 hidden units on the class token."""
    return Mlp(width=1024, dropout=0.0, norm="none")


PRESETS: Mapping[str, Callable[[], Branch]] = {
    "sdn": sdn,
    "eenet": eenet,
    "msdnet": msdnet,
    "branchynet_lenet": branchynet_lenet,
    "branchynet_alexnet_1": branchynet_alexnet_1,
    "branchynet_alexnet_2": branchynet_alexnet_2,
    "ztw_conv": ztw_conv,
    "ztw_vit": ztw_vit,
}
"""The published branches by the name that a search space or a design gives as the structure."""
