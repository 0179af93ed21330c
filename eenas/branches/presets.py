"""The branches of published early-exit networks, said in eenas's own families."""

from eenas.branches.branch import Branch
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc

SDN_SHARES = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)
"""Shares of the backbone's MACs at which Shallow-Deep Networks place their six internal classifiers."""


def sdn() -> Branch:
    """The internal classifier of Shallow-Deep Networks (Kaya et al. 2019): mixed pooling to 4x4, one linear layer."""
    return PoolFc(pool="mixed", size=4)


def eenet() -> Branch:
    """The `pool` exit of EENet (Demir & Akbas 2019): global average, one linear layer."""
    return PoolFc(pool="avg", size=1)


def msdnet(width: int = 128) -> Branch:
    """The classifier of MSDNet (Huang et al. 2018): two strided convolutions, average, one linear layer.

    The original has 128 channels for CIFAR and those of its features for ImageNet.
    """
    return ConvPoolFc(width=width, layers=2, pool="avg", size=1)


def zero_time_waste_vit() -> Branch:
    """The two-layer head of Zero Time Waste (Wolczyk et al. 2021) for ViT-B: 1024 hidden units on the class token."""
    return Mlp(width=1024)


def branchynet_lenet() -> tuple[Branch]:
    """B-LeNet's branch behind `conv1` (Teerapittayanon et al. 2016): one convolution of 10 channels, one linear layer.

    The stride stands for the original's pooling, batch normalisation was not in it.
    """
    return (ConvFc(width=10),)


def branchynet_alexnet() -> tuple[Branch, Branch]:
    """B-AlexNet's branches behind `conv2` and `conv3`: two and one convolutions of 32 channels, one linear layer each.

    Batch normalisation stands for the original's local response normalisation, stride and average for its pooling.
    """
    return ConvStack(width=32, layers=2), ConvStack(width=32, layers=1)
