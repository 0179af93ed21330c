"""The mask of a batch of ids: 1 where a token is, 0 in the padding."""

import torch
from torch import Tensor, nn


class TokenMask(nn.Module):
    """Maps ids [N, L] to their mask, float32 [N, L, 1]: the `carry` of a network of tokens."""

    def __init__(self, pad: int) -> None:
        """`pad` is the id of padding."""
        super().__init__()
        self.pad = pad

    def forward(self, ids: Tensor) -> Tensor:
        """Return the mask."""
        return (ids != self.pad).to(torch.float32).unsqueeze(-1)


def mean_of_tokens(features: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of features [N, L, D] over the tokens that a mask [N, L, 1] has, [N, D]."""
    return (features * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
