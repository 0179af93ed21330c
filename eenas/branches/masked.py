"""Tokens and series with carried columns: the mask, and pooling that leaves out the padding."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.errors import BranchError

_FAR = 1e4  # below every feature, and finite in half precision


def split_carried(features: Tensor, shape: FeatureShape) -> tuple[Tensor, Tensor | None]:
    """Return features without carried columns, and the mask, bool [N, L]; None if nothing is carried.

    `features` [N, L, D + c] (tokens) or [N, C + c, L] (series) are of `shape`. The mask is the first carried column; it
    is read with a threshold, since a codec may have rounded it.
    """
    if not shape.carried:
        return features, None
    axis = 1 if shape.is_series else 2
    kept = features.narrow(axis, 0, shape.channels)
    return kept, features.select(axis, shape.channels) > 0.5


def without_prefix(mask: Tensor, prefix: int) -> Tensor:
    """Return the mask [N, L] with the first `prefix` tokens as padding; they may be the only ones of a batch."""
    return torch.cat([torch.zeros_like(mask[:, :prefix]), mask[:, prefix:]], dim=1) if prefix else mask


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the mean [N, D] of tokens [N, L, D] where the mask [N, L] is true; 0 without any."""
    weights = mask.unsqueeze(2).to(tokens.dtype)
    total = torch.where(mask.unsqueeze(2), tokens, 0.0).sum(dim=1)
    return total / weights.sum(dim=1).clamp(min=1)


def masked_maximum(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum [N, D] of tokens [N, L, D] where the mask [N, L] is true; 0 without any."""
    found = torch.where(mask.unsqueeze(2), tokens, -_FAR).amax(dim=1)
    return torch.where(mask.any(dim=1, keepdim=True), found, 0.0)


def pooled(tokens: Tensor, mask: Tensor | None, pool: str, alpha: Tensor | None) -> Tensor:
    """Return tokens [N, L, D] pooled to [N, D] where the mask [N, L] is true (None: everywhere).

    `pool` is "avg", "max" or, with the learned `alpha`, "mixed", as in `Pooling`.
    """
    if pool == "avg":
        return tokens.mean(dim=1) if mask is None else masked_mean(tokens, mask)
    highest = tokens.amax(dim=1) if mask is None else masked_maximum(tokens, mask)
    if alpha is None:
        return highest
    share = torch.sigmoid(alpha)
    return share * highest + (1 - share) * pooled(tokens, mask, "avg", None)


class MaskedPooling(nn.Module):
    """Pools tokens or a series with carried columns to a vector [N, D], without the padding and prefix tokens.

    Tokens are normalised first (LayerNorm). `pool` is "avg", "max" or "mixed", as in `Pooling`.
    """

    def __init__(self, shape: FeatureShape, pool: str) -> None:
        super().__init__()
        self.shape, self.pool = shape, pool
        self.norm = None if shape.is_series else nn.LayerNorm(shape.channels)
        self.alpha = nn.Parameter(torch.zeros(())) if pool == "mixed" else None

    def forward(self, features: Tensor) -> Tensor:
        """Map [N, L, D + c] or [N, D + c, L] to [N, D]."""
        tokens, mask = split_carried(features, self.shape)
        assert mask is not None
        tokens = tokens.transpose(1, 2) if self.norm is None else self.norm(tokens)
        return pooled(tokens, without_prefix(mask, self.shape.prefix_tokens), self.pool, self.alpha)


def refuse_carried(shape: FeatureShape, label: str) -> None:
    """Raise BranchError for features with carried columns. `label` names the branch."""
    if shape.carried:
        kind = "a series" if shape.is_series else "tokens"
        raise BranchError(
            f"{label}: needs features of one length, got {kind} with a mask; use fc, mlp or pool_fc there"
        )
