"""A small transformer encoder for texts, trained from scratch with a tokenizer of the task's own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eenas.backbones.carried import CarryingModule
from eenas.backbones.models.token_mask import TokenMask, mean_of_tokens

VOCABULARY, MOST_TOKENS = 4096, 128
PAD_ID = 0


class TextEmbedding(nn.Module):
    """Ids [N, L] to [N, L, width]: the sum of a token's and a position's embedding, normalised."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width, padding_idx=PAD_ID)
        self.positions = nn.Embedding(MOST_TOKENS, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embedded tokens."""
        places = torch.arange(ids.shape[1], device=ids.device)
        embedded: Tensor = self.dropout(self.norm(self.tokens(ids) + self.positions(places)))
        return embedded


class TextLayer(nn.Module):
    """One encoder layer, [N, L, width] to the same shape: attention and two linear layers, each with a norm behind it.

    The layer of Vaswani et al. 2017 ("Attention is all you need", section 3.1). Its output is normalised, as branches
    need it.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm, self.last_norm, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the tokens after the layer; `mask` float32 [N, L, 1] is 0 at padding."""
        batch, length, width = x.shape
        parts = self.attention(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        hidden = (1 - mask.transpose(1, 2).unsqueeze(1)) * -1e9  # [N, 1, 1, L], added to scores
        found = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=hidden)
        x = self.norm(x + self.dropout(self.mixed(found.transpose(1, 2).reshape(batch, length, width))))
        made: Tensor = self.last_norm(x + self.dropout(self.narrow(F.gelu(self.wide(x)))))
        return made


class TextTransformer(CarryingModule):
    """Embedded tokens, `depth` encoder layers, the mean over tokens and a linear classifier.

    Takes ids [N, L] of up to 128 tokens, 0 for padding, and gives logits [N, num_classes].
    """

    def __init__(
        self, num_classes: int, *, width: int = 96, depth: int = 4, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.carry = TokenMask(PAD_ID)
        self.embedding = TextEmbedding(width, dropout)
        self.layers = nn.ModuleList(TextLayer(width, heads, dropout) for _ in range(depth))
        self.linear = nn.Linear(width, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [N, num_classes]."""
        mask = self.carry(ids)
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, mask)
        logits: Tensor = self.linear(mean_of_tokens(x, mask))
        return logits
