"""The attention_fc branch: tokens pooled by learned attention, and one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.branches.tokens.sequence import SequenceAdapter, check_sequence, masked_softmax


@dataclass(frozen=True, kw_only=True)
class AttentionFc(Branch):
    """Tokens weighted by a softmax over the sequence, once for each of `heads`; then Linear(heads * D, classes).

    A token's score is Linear(width, heads) of tanh of Linear(D, width): the pooling of Lin et al. 2017 ("A Structured
    Self-Attentive Sentence Embedding", equations 5 and 6), without its penalty on similar heads. With `width` 0 the
    score is one linear layer, that is the product with a learned query for each head. Tokens are normalised first
    (LayerNorm); padding gets the weight 0. The places of a map and the points of a series count as tokens.
    """

    kind: ClassVar[str] = "attention_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 16
    heads: int = 1

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, *(() if type(self.width) is int and self.width == 0 else ("width",)), "heads")

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError for a vector."""
        check_sequence(feature_shape, self.label())

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        return _AttentionPooled(SequenceAdapter(feature_shape, self.label()), self.width, self.heads, num_classes)

    def label(self) -> str:
        """Return a short text such as "attention_fc 16", "attention_fc 16 4 heads" or "attention_fc linear"."""
        heads = "" if self.heads == 1 else f" {self.heads} heads"
        return f"{self.kind} {self.width or 'linear'}{heads}"


class _AttentionPooled(nn.Module):
    def __init__(self, adapter: SequenceAdapter, width: int, heads: int, num_classes: int) -> None:
        super().__init__()
        self.adapter = adapter
        # a bias would shift all scores of a head alike, and their softmax would stay
        hidden = [nn.Linear(adapter.channels, width), nn.Tanh()] if width else []
        self.scores = nn.Sequential(*hidden, nn.Linear(width or adapter.channels, heads, bias=False))
        self.classifier = nn.Linear(heads * adapter.channels, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, ...] to logits [N, num_classes]."""
        tokens, mask = self.adapter(features)
        weights = masked_softmax(self.scores(tokens), mask)
        logits: Tensor = self.classifier((weights.transpose(1, 2) @ tokens).flatten(1))
        return logits
