"""Features as a sequence of tokens with its mask, and pooling over the sequence."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Pool
from eenas.branches.masked import pooled, split_carried, without_prefix
from eenas.errors import BranchError

_LOW = -1e4
"""Below every score, and finite in half precision."""


class SequenceAdapter(nn.Module):
    """Converts features to tokens [N, L, D] and their mask, bool [N, L]; None if nothing is padding.

    Tokens are normalised (LayerNorm). A map gives its places in row-major order and a series its points. Of carried
    columns only the mask is read. L may differ between batches.
    """

    def __init__(self, shape: FeatureShape, label: str, *, prefix: bool = True) -> None:
        """`prefix`: whether the prefix tokens belong to the sequence. Raises BranchError for a vector."""
        super().__init__()
        check_sequence(shape, label)
        self.shape, self.channels = shape, shape.channels
        self.begin = 0 if prefix else shape.prefix_tokens
        self.norm = nn.LayerNorm(shape.channels) if shape.kind == "tokens" or shape.channels_last else nn.Identity()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the tokens and the mask of features [N, ...]."""
        features, mask = split_carried(features, self.shape)
        if self.shape.kind == "map":
            features = features.flatten(1, 2) if self.shape.channels_last else features.flatten(2).transpose(1, 2)
        elif self.shape.kind == "series":
            features = features.transpose(1, 2)
        if mask is None:
            return self.norm(features[:, self.begin :]), None
        return self.norm(features), without_prefix(mask, self.begin)


class SequencePooling(nn.Module):
    """Pools tokens [N, L, D] to [N, D] where their mask [N, L] is true: "avg", "max" or "mixed", as in `Pooling`."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self.alpha = nn.Parameter(torch.zeros(())) if pool == "mixed" else None

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return the pooled tokens [N, D]; 0 for a sequence of padding."""
        return pooled(tokens, mask, self.pool, self.alpha)


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return the softmax over L of scores [N, L, H]; 0 where the mask [N, L] is false."""
    if mask is None:
        return torch.softmax(scores, dim=1)
    there = mask.unsqueeze(2)
    return torch.where(there, torch.softmax(torch.where(there, scores, _LOW), dim=1), 0.0)


def check_sequence(shape: FeatureShape, label: str) -> None:
    """Raise BranchError for a vector. `label` names the branch."""
    if shape.kind == "vector":
        raise BranchError(f"{label}: needs tokens, a series or a map, got a vector of {shape}; use fc or mlp there")
