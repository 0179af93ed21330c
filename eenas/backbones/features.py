"""The shape of the features at a cut point: a map, a series, a sequence of tokens or a vector."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from eenas.errors import CutError
from eenas.escaping import shortened


@dataclass(frozen=True)
class FeatureShape:
    """The dimensions of a feature tensor without the batch, and their layout.

    `dims` is (C, H, W) for a map [N, C, H, W], (H, W, C) for a map [N, H, W, C] if `channels_last` (as in Swin),
    (L, D) for tokens [N, L, D], (C, L) for a series [N, C, L] if `is_series`, or (D,) for a vector [N, D].
    `prefix_tokens` counts the leading tokens that are not patches of the image (class token, registers); `class_token`
    tells whether the first one is a class token. The patches are in row-major order over a `grid` of (rows, columns);
    None is a square grid, or with `is_set` an unknown order. The last `carried` columns of tokens, or channels of a
    series, are no features: `CarryingModule` put them there, the mask first (1 where a token is, 0 in the padding).
    `dims` count them, `channels` does not. Those of a vector are what only later steps over time read. Raises
    CutError for other dimensions.
    """

    dims: tuple[int, ...]
    channels_last: bool = False
    prefix_tokens: int = 0
    class_token: bool = True
    grid: tuple[int, ...] | None = None
    is_set: bool = False
    is_series: bool = False
    carried: int = 0

    def __post_init__(self) -> None:
        """Check the dimensions."""
        object.__setattr__(self, "dims", tuple(int(size) for size in self.dims))
        if not 1 <= len(self.dims) <= 3 or min(self.dims) < 1:
            raise CutError(
                f"features must have one to three positive dimensions beside the batch, got {shortened(self.dims)}"
            )
        if self.channels_last and len(self.dims) != 3:
            raise CutError(f"channels_last is for maps of three dimensions only, got {shortened(self.dims)}")
        if self.is_series and len(self.dims) != 2:
            raise CutError(f"features of series must have channels and a length, got {shortened(self.dims)}")
        if self.carried and not (self.kind != "map" and 0 < self.carried < self._width):
            got = f"{self.carried} of {shortened(self.dims)}"
            raise CutError(f"carried columns belong to tokens, series and vectors, beside features, got {got}")
        if self.prefix_tokens and not (self.kind == "tokens" and 0 < self.prefix_tokens < self.dims[0]):
            raise CutError(f"prefix tokens must be fewer than the tokens, got {self.prefix_tokens} of {self.dims[0]}")
        if not (self.kind == "tokens" and self.prefix_tokens):
            object.__setattr__(self, "class_token", True)  # it has no effect here, and equal shapes must be equal
        if self.grid is not None:
            rows, columns = self.grid if len(self.grid) == 2 else (0, 0)
            if self.kind != "tokens" or rows * columns != self.dims[0] - self.prefix_tokens:
                grid = shortened(self.grid)
                raise CutError(f"a grid must cover the tokens after the prefix, got {grid} for {self.dims}")
            object.__setattr__(self, "grid", (int(rows), int(columns)) if rows != columns else None)

    @property
    def kind(self) -> Literal["map", "series", "tokens", "vector"]:
        """The kind of tensor: "map" (three dimensions), "series" or "tokens" (two) or "vector" (one)."""
        if len(self.dims) == 3:
            return "map"
        if self.is_series:
            return "series"
        return "tokens" if len(self.dims) == 2 else "vector"

    @property
    def patches(self) -> tuple[int, int] | None:
        """Rows and columns of the patches; None if their order is unknown, or without a grid their number no square."""
        if self.kind != "tokens" or self.is_set or self.carried:
            return None
        if self.grid is not None:
            return self.grid[0], self.grid[1]
        count = self.dims[0] - self.prefix_tokens
        side = math.isqrt(count)
        return (side, side) if side * side == count else None

    @property
    def channels(self) -> int:
        """C of a map and of a series, D of tokens and of a vector, without carried columns."""
        return self._width - self.carried

    @property
    def carries_numbers(self) -> bool:
        """Whether later layers read more carried columns than a mask, such as numbers of nodes, which stay exact."""
        return self.exact_columns > 1

    @property
    def exact_columns(self) -> int:
        """Number of carried columns that stay exact on a link; those of a vector are a state, which need not."""
        return 0 if self.kind == "vector" else self.carried

    @property
    def places(self) -> tuple[int, ...]:
        """The sides of a map (H, W) or of a series (L,); () for tokens and vectors."""
        if self.kind == "series":
            return (self.dims[1],)
        return self._plane() if self.kind == "map" else ()

    @property
    def height(self) -> int:
        """H of a map in pixels. Raises CutError for tokens and vectors."""
        return self._plane()[0]

    @property
    def width(self) -> int:
        """W of a map in pixels. Raises CutError for tokens and vectors."""
        return self._plane()[1]

    @property
    def tokens(self) -> int:
        """L of tokens, prefix tokens included, and of series; H x W of a map; 1 for a vector."""
        if self.kind in ("map", "series"):
            return math.prod(self.places)
        return self.dims[0] if self.kind == "tokens" else 1

    @property
    def elements(self) -> int:
        """Number of values in the features of one sample, with the carried ones."""
        return self._width * self.tokens

    def example(self, batch: int = 2, device: torch.device | str = "cpu") -> Tensor:
        """Return a float32 tensor [batch, *dims] of normal noise, for counting MACs and measuring latency.

        Carried columns are 1: no token is padding.
        """
        noise = torch.randn(batch, *self.dims, device=device)
        if self.carried:
            noise.narrow(1 if self.is_series else -1, self.channels, self.carried).fill_(1)
        return noise

    def to_table(self) -> dict[str, Any]:
        """Plain data for `eenas.specs`. `is_series` and `carried` are in it only if set, as in older files."""
        table = {field.name: getattr(self, field.name) for field in fields(self)}
        left_out = [name for name in ("is_series", "carried") if not table[name]]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in table.items()
            if value is not None and name not in left_out
        }

    def __str__(self) -> str:
        """Return text such as "256 x 56 x 56", in the tensor's own order."""
        return " x ".join(str(size) for size in self.dims)

    @property
    def _width(self) -> int:
        """The length of the axis of channels."""
        first = self.kind == "series" or (self.kind == "map" and not self.channels_last)
        return self.dims[0] if first else self.dims[-1]

    def _plane(self) -> tuple[int, int]:
        if self.kind != "map":
            raise CutError(f"only a map has height and width, got {self.kind} of {self.dims}")
        return (self.dims[0], self.dims[1]) if self.channels_last else (self.dims[1], self.dims[2])
