"""Modules that pass on, in one tensor, what later layers need beside the features."""

from torch import nn


class PackingStep(nn.Module):
    """A part of a sequence whose output holds `carried` further columns (channels of a series) behind the features.

    Classifiers read the features only; the columns of series are their mask. `seen` is the share of the input that the
    output depends on, below 1 in networks with exits in time.
    """

    carried: int = 0
    seen: float = 1.0
