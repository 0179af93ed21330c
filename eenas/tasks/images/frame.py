"""The frame into which an image is fitted: height, width, and the treatment of other proportions."""

from dataclasses import dataclass
from typing import Literal

Size = int | tuple[int, ...]
"""An image size in pixels: one number for a square, or (height, width)."""
Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
BORDER = 128
"""The grey level of the border that `pad` adds: the middle of 0..255, without an edge to either black or white glyphs.
"""


def canonical_size(size: Size) -> Size:
    """Return a square size as one number, other sizes as (height, width).

    Raises ValueError for anything else.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in sides):
        raise ValueError(f"a positive size in pixels is one number or [height, width], got {size!r}")
    return sides[0] if sides[0] == sides[1] else sides


def sides_of(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def size_text(size: Size) -> str:
    """Return a size as text: "224" or "32 x 128" (height first)."""
    return str(size) if isinstance(size, int) else f"{size[0]} x {size[1]}"


@dataclass(frozen=True)
class Placing:
    """The placement of an image: `box` (left, top, right, bottom) is resized to `width` x `height` and put at `at`."""

    box: tuple[int, int, int, int]
    width: int
    height: int
    at: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Frame:
    """Height and width in pixels, and the fit.

    `crop` keeps the largest centred part with the proportions of the frame. `pad` keeps the whole image and adds a grey
    border. `stretch` keeps the whole image and changes its proportions.
    """

    height: int
    width: int
    fit: Fit = "crop"

    @classmethod
    def of(cls, size: Size, fit: Fit = "crop") -> "Frame":
        """Return the frame of a size."""
        return cls(*sides_of(size), fit)

    def place(self, width: int, height: int) -> Placing:
        """Return the placement of an image of this size. Integer arithmetic makes all programs agree."""
        wide, tall = width * self.height, height * self.width
        if self.fit == "crop":
            kept = max(1, tall // self.height) if wide > tall else width
            rows = max(1, wide // self.width) if tall > wide else height
            left, top = (width - kept) // 2, (height - rows) // 2
            return Placing((left, top, left + kept, top + rows), self.width, self.height)
        whole = (0, 0, width, height)
        if self.fit == "stretch":
            return Placing(whole, self.width, self.height)
        inner = self.width if wide >= tall else max(1, (2 * wide + height) // (2 * height))
        rows = self.height if tall >= wide else max(1, (2 * tall + width) // (2 * width))
        return Placing(whole, inner, rows, ((self.width - inner) // 2, (self.height - rows) // 2))

    def cut(self, width: int, height: int) -> float:
        """Return the share of an image of this size that the frame cuts off, in [0, 1)."""
        left, top, right, bottom = self.place(width, height).box
        return 1 - (right - left) * (bottom - top) / (width * height)
