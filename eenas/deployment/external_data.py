"""Whether an ONNX file takes numbers from other files, which its own checksum does not cover; read without onnx."""

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
"""In which fields of a message of ONNX (`onnx.proto`) further messages lie that may hold tensors."""

_EXTERNAL = 13  # TensorProto.external_data
_DEEPEST = 64


def check_no_external_data(path: Path) -> None:
    """Raise ExportError for an ONNX file with tensors in other files, and for one that is no ONNX file."""
    content = path.read_bytes()
    try:
        _check(memoryview(content), "model", 0)
    except (IndexError, ValueError, KeyError):
        raise ExportError(f"{path}: is no ONNX file; copy it, or export again") from None
    except _External:
        raise ExportError(
            f"{path}: takes numbers from another file, which no checksum covers; export again, in one file"
        ) from None


class _External(Exception):
    """A tensor lies in another file."""


def _check(message: memoryview, kind: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for field, value in _fields(message):
        if kind == "tensor":
            if field == _EXTERNAL:
                raise _External
        elif (following := _GRAPHS[kind].get(field)) is not None:
            _check(value, following, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message of protobuf: number and content; numbers have an empty one."""
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        kind, length = tag & 7, 0
        if kind == 0:
            _, place = _number(message, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        elif kind == 2:
            length, place = _number(message, place)
            place += length
        else:
            raise ValueError(f"no field has the type {kind}")
        if place > len(message):
            raise ValueError("a field is cut off")
        yield tag >> 3, message[place - length : place]


def _number(message: memoryview, place: int) -> tuple[int, int]:
    """A number of variable length at a place, and the place behind it."""
    value = 0
    for index in range(10):
        byte = message[place + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, place + index + 1
    raise ValueError("a number has more than ten bytes")
