"""The tensors of the Open Inference Protocol as arrays: from bytes or from lists, each checked before it is made."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import ProtocolError
from eenas.escaping import shortened

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"{sign}INT{bits}": np.dtype(f"{sign}int{bits}".lower()) for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
}
"""The NumPy type of each datatype of the protocol that eenas sends and reads."""

MOST_AXES, MOST_SIDE = 16, 2**31 - 1
_MOST_PLACES = 2**40
_NAMES_OF_TYPES = {dtype: name for name, dtype in DATATYPES.items()}


def datatype_of(array: NDArray[Any]) -> str:
    """Return the protocol's name of an array's type. Raises ProtocolError if it has none."""
    name = _NAMES_OF_TYPES.get(array.dtype.newbyteorder("="))
    if name is None:
        raise ProtocolError(f"arrays of type {array.dtype} cannot be sent; convert to one of {', '.join(DATATYPES)}")
    return name


def check_tensor_facts(name: str, datatype: Any, shape: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and the shape of a tensor. Raises ProtocolError for an unknown type and an invalid shape."""
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise ProtocolError(f"{name}: datatype must be one of {', '.join(DATATYPES)}, got {shortened(datatype)}")
    sides = shape if isinstance(shape, list | tuple) else ()
    whole = all(isinstance(side, int) and not isinstance(side, bool) and 0 <= side <= MOST_SIDE for side in sides)
    if not (0 < len(sides) <= MOST_AXES and whole):
        raise ProtocolError(
            f"{name}: shape must be a list of 1 to {MOST_AXES} numbers from 0 to {MOST_SIDE}, got {shortened(shape)}"
        )
    if 0 in sides and math.prod(side or 1 for side in sides) > _MOST_PLACES:  # NumPy has no such array, empty or not
        raise ProtocolError(f"{name}: shape {shortened(shape)} is too large for an empty array; send smaller sides")
    return DATATYPES[datatype], tuple(sides)


def array_from_bytes(name: str, data: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array in little-endian bytes, read-only. Raises ProtocolError unless they have its size."""
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise ProtocolError(f"{name}: shape {list(shape)} of {dtype} needs {size:,} bytes, got {len(data):,}")
    if dtype == np.bool_:
        flags = np.frombuffer(data, dtype=np.uint8)
        if size and flags.max() > 1:
            raise ProtocolError(f"{name}: bytes of BOOL must be 0 or 1, got {int(flags.max())}")
        return flags.view(np.bool_).reshape(shape)
    found = np.frombuffer(data, dtype=dtype.newbyteorder("<")).astype(dtype, copy=False)
    return (found if found.flags.aligned else found.copy()).reshape(shape)


def bytes_of_array(array: NDArray[Any]) -> bytes:
    """Return an array as little-endian bytes in C order."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def array_from_values(name: str, values: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array of a list from JSON, flat or nested. Raises ProtocolError unless it has the type and shape."""
    if not isinstance(values, list):
        raise ProtocolError(f"{name}: data must be a list, got {shortened(values)}")
    if _has_texts(values):  # NumPy would give each value the room of the longest
        raise ProtocolError(f"{name}: data must be {_NAMES_OF_TYPES[dtype]}, got texts")
    try:
        found = np.array(values)
    except (ValueError, OverflowError):  # lists of different lengths
        raise ProtocolError(f"{name}: data must be a list of numbers, flat or nested as shape says") from None
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[dtype.kind]
    if found.size and found.dtype.kind not in kinds:
        raise ProtocolError(f"{name}: data must be {_NAMES_OF_TYPES[dtype]}, got values of type {found.dtype}")
    if found.size != math.prod(shape) or (found.ndim > 1 and found.shape != shape):
        raise ProtocolError(f"{name}: shape must be that of data, {list(found.shape)}, got {list(shape)}")
    if found.size and dtype.kind in "iu":
        least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        if int(found.min()) < least or int(found.max()) > most:
            raise ProtocolError(
                f"{name}: data must be in [{least}, {most}], got {int(found.min())}, {int(found.max())}"
            )
    with np.errstate(over="ignore"):  # beyond float16 or float32: infinity, which the model refuses
        return found.astype(dtype).reshape(shape)


def _has_texts(values: list[Any]) -> bool:
    """Whether a list, nested as JSON can be, has a text in it."""
    kinds = set(map(type, values))
    return str in kinds or (list in kinds and any(_has_texts(each) for each in values if isinstance(each, list)))
