"""The token_conv branch: convolutions along the tokens, pooling over the sequence, one linear layer."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch, Pool, check_classes, check_pool, check_positive
from eenas.branches.tokens.sequence import SequenceAdapter, SequencePooling, check_sequence
from eenas.errors import BranchError


@dataclass(frozen=True, kw_only=True)
class TokenConv(Branch):
    """`layers` times a convolution over three tokens (to width) and ReLU; pooling over the sequence; Linear.

    With the maximum over the sequence and one layer, this is the convolutional classifier of sentences of Kim 2014
    ("Convolutional Neural Networks for Sentence Classification") with one size of window. Tokens are normalised first
    (LayerNorm), prefix tokens are dropped, and padding is zero before each convolution, so that a text's logits do not
    depend on it. The points of a series count as tokens. Patches of an image are refused: `conv_stack` knows their
    rows and columns.
    """

    kind: ClassVar[str] = "token_conv"
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers", "pool")
    width: int = 32
    layers: int = 1
    pool: Pool = "max"

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, "width", "layers")
        check_pool(self, self.pool)

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError for features that are no sequence in one direction."""
        check_sequence(feature_shape, self.label())
        if feature_shape.kind == "series":
            return
        if feature_shape.kind == "map" or feature_shape.patches is not None:
            raise BranchError(
                f"{self.label()}: needs a sequence, got places of an image, {feature_shape}; use conv_stack there"
            )
        if feature_shape.is_set and feature_shape.carried != 1:
            raise BranchError(
                f"{self.label()}: needs tokens in their order, got a set, {feature_shape}; use attention_fc there"
            )

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        self.check(feature_shape)
        adapter = SequenceAdapter(feature_shape, self.label(), prefix=False)
        return _TokenConvolutions(adapter, (adapter.channels, *[self.width] * self.layers), self.pool, num_classes)


class _TokenConvolutions(nn.Module):
    def __init__(self, adapter: SequenceAdapter, widths: tuple[int, ...], pool: Pool, num_classes: int) -> None:
        super().__init__()
        self.adapter = adapter
        self.convs = nn.ModuleList(nn.Conv1d(before, after, 3, padding=1) for before, after in pairwise(widths))
        self.pooling = SequencePooling(pool)
        self.classifier = nn.Linear(widths[-1], num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, ...] to logits [N, num_classes]."""
        tokens, mask = self.adapter(features)
        for conv in self.convs:
            kept = tokens if mask is None else torch.where(mask.unsqueeze(2), tokens, 0.0)
            tokens = conv(kept.transpose(1, 2)).relu().transpose(1, 2)
        logits: Tensor = self.classifier(self.pooling(tokens, mask))
        return logits
