"""The check that an ONNX file stores all tensors itself, because its checksum covers no other file; needs no onnx."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from eenas.errors import ExportError

_GRAPHS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""The fields of each ONNX message (`onnx.proto`) that hold messages with possible tensors."""

_EXTERNAL = 13  # TensorProto.external_data
_DEEPEST = 64


def check_no_external_data(path: Path) -> None:
    """Raise ExportError if tensors of an ONNX file lie in other files, or if it is not an ONNX file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check(content, 0, len(content), "model", 0)
    except (IndexError, ValueError, OSError):  # ValueError also for an empty file
        raise ExportError(f"{path}: is not an ONNX file; copy it again, or export again") from None
    except _External:
        raise ExportError(
            f"{path}: stores tensors in another file, which no checksum covers; export again into one file"
        ) from None


class _External(Exception):
    """A tensor is stored in another file."""


def _check(content: mmap.mmap, start: int, end: int, kind: str, depth: int) -> None:
    """Search the message of this kind in `content[start:end]`."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for field, first, last in _fields(content, start, end):
        if kind == "tensor":
            if field == _EXTERNAL:
                raise _External
        elif (following := _GRAPHS[kind].get(field)) is not None:
            _check(content, first, last, following, depth + 1)


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and end of each field of a protobuf message. Numeric fields have an empty content."""
    place = start
    while place < end:
        tag, place = _varint(content, place)
        kind, length = tag & 7, 0
        if kind == 0:
            _, place = _varint(content, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        elif kind == 2:
            length, place = _varint(content, place)
            place += length
        else:
            raise ValueError(f"unknown field type {kind}")
        if place > end:
            raise ValueError("a field is cut off")
        yield tag >> 3, place - length, place


def _varint(content: mmap.mmap, place: int) -> tuple[int, int]:
    """Return the varint at `place` and the position after it."""
    value = 0
    for index in range(10):
        byte = content[place + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, place + index + 1
    raise ValueError("a number has more than ten bytes")
