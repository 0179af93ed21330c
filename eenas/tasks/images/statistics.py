"""The mean and the standard deviation that pixels are scaled with."""

from collections.abc import Sequence

from eenas.errors import InputError

_LARGEST = 1e38  # of float32, nearly
_LEAST = 2e-38  # of float32 with all its digits, nearly


def check_statistics(mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise InputError unless `(x - mean) / std` is finite in float32 for every pixel x in [0, 1]."""
    if min(std) <= 0:
        raise InputError(f"std must be positive, got {list(std)}")
    for centre, scale in zip(mean, std, strict=True):
        farthest = max(abs(centre), abs(1 - centre))
        if scale < _LEAST or farthest > _LARGEST or farthest > _LARGEST * scale:
            raise InputError(
                f"(x - mean) / std must be finite in float32 for pixels in [0, 1], got mean {centre:g} and std "
                f"{scale:g}; give a larger std"
            )
