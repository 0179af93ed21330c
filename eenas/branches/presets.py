"""The branches of published early-exit networks, expressed in eenas's own families."""

from collections.abc import Callable, Mapping

from eenas.branches.branch import Branch
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.tokens.pooler_fc import PoolerFc

SDN_SHARES = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)
"""The positions of the six internal classifiers of Shallow-Deep Networks, as shares of the backbone's MACs."""


def sdn() -> Branch:
    """Return the internal classifier of Shallow-Deep Networks (Kaya et al. 2019): mixed pooling to 4x4, linear layer.

    As published for maps with sides that are multiples of 4, except that the mixture's weights stay in (0, 1)
    (`Pooling`).
    """
    return PoolFc(pool="mixed", size=4)


def eenet() -> Branch:
    """Return the classifier of EENet's `pool` exit (Demir & Akbas 2019): global average, linear layer."""
    return PoolFc(pool="avg", size=1)


def msdnet(width: int = 128) -> Branch:
    """Return the classifier of MSDNet (Huang et al. 2018): two strided convolutions, average, linear layer.

    The original has 128 channels for CIFAR; for ImageNet it keeps the channels of the features.
    """
    return ConvPoolFc(width=width, layers=2, pool="avg", size=1)


def branchynet_lenet() -> Branch:
    """Return B-LeNet's branch after `conv1` (Teerapittayanon et al. 2016): Conv of 10 channels between max poolings."""
    return ConvPoolFc(width=10, layers=1, pool="max", begin="max2", norm="none")


def branchynet_alexnet_1() -> Branch:
    """Return B-AlexNet's branch after `conv2` (Teerapittayanon et al. 2016): 2 x Conv of 32 between max poolings."""
    return ConvPoolFc(width=32, layers=2, pool="max", begin="max3", norm="response")


def branchynet_alexnet_2() -> Branch:
    """Return B-AlexNet's branch after `conv3` (Teerapittayanon et al. 2016): Conv of 32 between max poolings."""
    return ConvPoolFc(width=32, layers=1, pool="max", begin="max3", norm="response")


def ztw_conv() -> Branch:
    """Return the convolutional head of Zero Time Waste (Wolczyk et al. 2021).

    ReLU, a convolution to half the channels, mixed pooling to 4x4, linear layer. The original upsamples smaller maps to
    4x4; here they keep their size.
    """
    return ConvPoolFc(width=0, layers=1, pool="mixed", size=4, begin="relu", norm="none")


def ztw_vit() -> Branch:
    """Return the two-layer head of Zero Time Waste (Wolczyk et al. 2021) for ViT-B: 1024 units on the class token."""
    return Mlp(width=1024, dropout=0.0, norm="none")


def deebert() -> Branch:
    """Return the off-ramp of DeeBERT (Xin et al. 2020): BERT's pooler on the class token, a linear layer."""
    return PoolerFc(width=0, norm="none")


def pabee() -> Branch:
    """Return the internal classifier of PABEE (Zhou et al. 2020): one pooler for all exits, a linear layer for each."""
    return PoolerFc(width=0, norm="none", shared=True)


PRESETS: Mapping[str, Callable[[], Branch]] = {
    "sdn": sdn,
    "eenet": eenet,
    "msdnet": msdnet,
    "branchynet_lenet": branchynet_lenet,
    "branchynet_alexnet_1": branchynet_alexnet_1,
    "branchynet_alexnet_2": branchynet_alexnet_2,
    "ztw_conv": ztw_conv,
    "ztw_vit": ztw_vit,
    "deebert": deebert,
    "pabee": pabee,
}
"""The published branches by the structure name that search spaces and designs use."""
