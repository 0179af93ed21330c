"""Checks of the mean and the standard deviation for pixels."""

from collections.abc import Sequence

from eenas.errors import InputError

_LARGEST = 1e38  # of float32, nearly
_SMALLEST = 2e-38  # normal float32, nearly


def check_statistics(mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise InputError unless `(x - mean) / std` is finite in float32 for every pixel x in [0, 1]."""
    if min(std) <= 0:
        raise InputError(f"std must be positive, got {list(std)}; leave out constant channels")
    for centre, scale in zip(mean, std, strict=True):
        farthest = max(abs(centre), abs(1 - centre))
        if scale < _SMALLEST or farthest > _LARGEST or farthest > _LARGEST * scale:
            raise InputError(
                f"(x - mean) / std must be finite in float32 for pixels in [0, 1], got mean {centre:g} and std "
                f"{scale:g}; give a larger std"
            )
