"""Modules that pass on, in one tensor, what later layers need beside the features."""

import torch
from torch import Tensor, nn


class PackingStep(nn.Module):
    """A part of a sequence whose output holds `carried` further columns (channels of a series) behind the features.

    Classifiers read the features only; the columns of series are their mask. `seen` is the share of the input that the
    output depends on, below 1 in networks with exits in time.
    """

    carried: int = 0
    seen: float = 1.0


class SeriesStep(PackingStep):
    """A layer from series [N, C, L] to [N, D, L']; if `masked`, the last channel before and behind it is the mask."""

    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        self.carried = int(masked)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the values [N, C, L] and the mask [N, 1, L], or None without one."""
        return (x[:, :-1], x[:, -1:]) if self.carried else (x, None)

    def join(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the values, and the mask behind them."""
        return values if mask is None else torch.cat([values * mask, mask], dim=1)


def mean_of_points(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean [N, C] of series [N, C, L] over the points that a mask [N, 1, L] has; None: over all.

    The values are 0 where the mask is.
    """
    return values.mean(dim=2) if mask is None else values.sum(dim=2) / mask.sum(dim=2).clamp(min=1.0)
