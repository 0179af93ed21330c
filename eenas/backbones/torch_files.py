"""The sizes that a `torch.save` file claims, checked against its length before torch allocates memory for them."""

import io
import math
import os
import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar

from eenas.errors import WeightsError

_ITEM = {
    **{"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "ComplexDouble": 16, "ComplexFloat": 8},
    **{"Long": 8, "Int": 4, "Short": 2, "QInt32": 4},
}
"""Bytes per number in torch's storages; one byte for all others."""
_PICKLES = 5  # in a legacy file: magic number, version, system, content, keys of the storages that follow
_READ: dict[int, Any] = pickle._Unpickler.dispatch
_TOTAL_FACTOR = 4  # objects beside tensors may take this many times the file's length
_FIX = "copy it again, or save model.state_dict()"


def check_legacy(path: Path) -> None:
    """Raise WeightsError if a legacy file (not a zip) claims more than it holds, or any exception if it is broken."""
    claims: dict[Any, int] = {}
    with _BoundedReader(path) as stream:
        *_, held = (_ClaimReader(stream, stream.size, claims).load() for _ in range(_PICKLES))
        if not set(claims) <= set(held):  # torch would leave their memory uninitialised
            raise WeightsError(f"it lacks the data of tensors that it names; {_FIX}")
        if (claimed := sum(claims.values())) > stream.size:
            raise _too_large(claimed, stream.size)


def check_zipped(content: bytes, held: Mapping[str, int], most: int) -> None:
    """Check `content`, the `data.pkl` of a zip file of `most` bytes, as `check_legacy` does.

    `held` maps the key of each storage to its bytes.
    """
    claims: dict[Any, int] = {}
    _ClaimReader(io.BytesIO(content), most, claims).load()
    for key, claimed in claims.items():
        if claimed > held.get(str(key), 0):
            raise _too_large(claimed, held.get(str(key), 0))


class _BoundedReader(io.BufferedReader):
    """A reader that never requests more bytes than the file has, since Python allocates the buffer first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes."""
        left = max(0, self.size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


class _ClaimReader(pickle._Unpickler):
    """Reads a pickle without imports and without allocating tensors; fills `claims` with the bytes of each storage.

    Based on the unpickler written in Python: the one in C allocates as many memo entries as a file claims.
    """

    stack: list[Any]

    def __init__(self, stream: IO[bytes], most: int, claims: dict[Any, int]) -> None:
        super().__init__(stream, encoding="latin-1")
        self._most, self._claims, self._asked = most, claims, 0

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a global name, which only checks sizes."""
        of_torch = module.partition(".")[0] == "torch"
        if of_torch and name.endswith("Storage"):
            return _ITEM.get(name.removesuffix("Storage"), 1)
        if of_torch and name == "_rebuild_from_type_v2":
            return self._rebuild_from_type
        if of_torch and name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
            return self.tensor
        if of_torch and name == "_rebuild_qtensor":
            return partial(self.tensor, packed=4)
        if name == "bytearray" or (of_torch and name.endswith(("Tensor", "Parameter"))):
            return type(name, (_SizedStandIn,), {"claims": self})
        return tuple if of_torch and name == "Size" else _StandIn

    def persistent_load(self, pid: Any) -> Any:
        """Return a storage as its number of items; return any other persistent id unchanged."""
        if pid[0] != "storage":
            return pid[1]
        item, key, _, items, *view = pid[1:]
        self._claims.setdefault(key, _count(items) * item)
        _, first, items = view[0] if view and view[0] is not None else (None, 0, self._claims[key] // item)
        if (_count(first) + _count(items)) * item > self._claims[key]:
            raise _too_large((first + items) * item, self._claims[key])
        return _Storage(items)

    def ask(self, size: int) -> None:
        """Count `size` bytes, a lower bound of the memory that one object would take. Raises WeightsError.

        A single object may take as much as the file's length, all together a few times that: an object can be stored
        once and yet be created at each reference.
        """
        self._asked += size
        if size > self._most or self._asked > _TOTAL_FACTOR * self._most:
            raise _too_large(size if size > self._most else self._asked, self._most)

    def _call(self) -> None:
        self._count_copies(self.stack[-1])
        _READ[pickle.REDUCE[0]](self)

    def _make(self) -> None:
        self._count_copies(self.stack[-1])
        _READ[pickle.NEWOBJ[0]](self)

    def _build(self) -> None:
        self._count_copies((self.stack[-1],), depth=0)
        _READ[pickle.BUILD[0]](self)

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: read for code, read in _READ.items() if code != pickle.BYTEARRAY8[0]},
        **{pickle.REDUCE[0]: _call, pickle.NEWOBJ[0]: _make, pickle.BUILD[0]: _build},
    }

    def _count_copies(self, arguments: Sequence[Any], depth: int = 2) -> None:
        """Count the arguments that a call may copy: strings, and containers down to `depth` levels."""
        for each in arguments:
            if isinstance(each, str | bytes):
                self.ask(len(each))
            elif isinstance(each, list | tuple | set | dict):
                self.ask(len(each))
                inside = each.values() if isinstance(each, dict) else each
                if depth:
                    self._count_copies(
                        [part for part in inside if isinstance(part, list | tuple | set | dict)], depth - 1
                    )

    def _rebuild_from_type(self, function: Any, kind: Any, arguments: Any, state: Any) -> Any:
        self._count_copies(arguments)
        return function(*arguments)

    def tensor(
        self, storage: Any, first: int = 0, shape: Any = (), strides: Any = (), *more: Any, packed: int = 1
    ) -> Any:
        """Check that a tensor fits its storage, whose items hold up to `packed` numbers; torch would resize it."""
        if isinstance(storage, _Storage) and all(map(_count, shape)):
            reached = _count(first) + sum(
                (size - 1) * _count(stride) for size, stride in zip(shape, strides, strict=True)
            )
            if reached >= storage.items * packed:
                raise WeightsError(f"it has a tensor of shape {list(shape)[:8]} in {storage.items:,} numbers; {_FIX}")
        return _StandIn()


class _Storage:
    def __init__(self, items: int) -> None:
        self.items = items


class _StandIn(dict[Any, Any]):
    """Stands for an object, and drops everything that a pickle puts into it."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()

    def __call__(self, *arguments: Any, **named: Any) -> "_StandIn":
        """Return another stand-in."""
        return _StandIn()

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setstate__(self, state: Any) -> None:
        """Drop the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop the item."""

    def append(self, value: Any) -> None:
        """Drop the value."""

    def extend(self, values: Sequence[Any]) -> None:
        """Drop the values."""

    add = append


class _SizedStandIn(_StandIn):
    """Stands for an object that allocates as much memory as its arguments say."""

    claims: _ClaimReader

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Count the requested memory."""
        shape = [value for value in arguments if isinstance(value, int)]
        cls.claims.ask(math.prod(shape) if shape else 0)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Check a tensor whose state is a view of a storage."""
        if isinstance(state, tuple) and state and isinstance(state[0], _Storage):
            self.claims.tensor(*state)


def _count(value: Any) -> int:
    """Return `value` if it is a count. Raises ValueError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a count must be an integer of at least 0")
    return value


def _too_large(claimed: int, held: int) -> WeightsError:
    return WeightsError(f"it claims tensors of {claimed:,} bytes and holds {held:,}; {_FIX}")
