"""What a file of `torch.save` claims to hold, held against what it has before torch takes memory for it."""

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
"""Bytes of a number in the storages of torch that take more than one."""
_PICKLES = 5  # of an old file: a mark, its version, the system, the content, the keys of the storages that follow
_READ: dict[int, Any] = pickle._Unpickler.dispatch
_TOGETHER = 4  # times the file's length that its objects may take beside tensors
_FIX = "copy it again, or save model.state_dict()"


def check_legacy(path: Path) -> None:
    """Raise WeightsError where a file from before zip claims more than it has; any Exception where it is broken."""
    claims: dict[Any, int] = {}
    with _Within(path) as stream:
        *_, held = (_Claims(stream, stream.size, claims).load() for _ in range(_PICKLES))
        if not set(claims) <= set(held):  # torch would give memory as it finds it
            raise WeightsError(f"it lacks numbers of tensors that it names; {_FIX}")
        if (claimed := sum(claims.values())) > stream.size:
            raise _too_much(claimed, stream.size)


def check_zipped(content: bytes, held: Mapping[str, int], most: int) -> None:
    """The same for `data.pkl` of a zip file of `most` bytes; `held` are bytes by the key of a storage."""
    claims: dict[Any, int] = {}
    _Claims(io.BytesIO(content), most, claims).load()
    for key, claimed in claims.items():
        if claimed > held.get(str(key), 0):
            raise _too_much(claimed, held.get(str(key), 0))


class _Within(io.BufferedReader):
    """A file that is asked for no more bytes than it has: a buffer would be made for them first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        left = max(0, self.size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


class _Claims(pickle._Unpickler):
    """Reads a pickle without importing anything and without memory for tensors; `claims` gets bytes by storage.

    Python's own implementation in Python, since the one in C makes room for as many memos as a file claims.
    """

    stack: list[Any]

    def __init__(self, stream: IO[bytes], most: int, claims: dict[Any, int]) -> None:
        super().__init__(stream, encoding="latin-1")
        self._most, self._claims, self._asked = most, claims, 0

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name: it does nothing but to look at sizes."""
        of_torch = module.partition(".")[0] == "torch"
        if of_torch and name.endswith("Storage"):
            return _ITEM.get(name.removesuffix("Storage"), 1)
        if of_torch and name == "_rebuild_from_type_v2":
            return self._of_type
        if of_torch and name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
            return self.tensor
        if of_torch and name == "_rebuild_qtensor":
            return partial(self.tensor, packed=4)
        if name == "bytearray" or (of_torch and name.endswith(("Tensor", "Parameter"))):
            return type(name, (_Sized,), {"claims": self})
        return tuple if of_torch and name == "Size" else _Anything

    def persistent_load(self, pid: Any) -> Any:
        """A storage, as its number of items; anything else as it is."""
        if pid[0] != "storage":
            return pid[1]
        item, key, _, items, *view = pid[1:]
        self._claims.setdefault(key, _whole(items) * item)
        _, first, items = view[0] if view and view[0] is not None else (None, 0, self._claims[key] // item)
        if (_whole(first) + _whole(items)) * item > self._claims[key]:
            raise _too_much((first + items) * item, self._claims[key])
        return _Storage(items)

    def ask(self, size: int) -> None:
        """Take note of memory that an object of the file would take, in bytes at the least.

        Each alone may take what the file is long, together a few times that: an object that is named again and again
        is written once, but made anew each time.
        """
        self._asked += size
        if size > self._most or self._asked > _TOGETHER * self._most:
            raise _too_much(size if size > self._most else self._asked, self._most)

    def _call(self) -> None:
        self._look_at(self.stack[-1])
        _READ[pickle.REDUCE[0]](self)

    def _make(self) -> None:
        self._look_at(self.stack[-1])
        _READ[pickle.NEWOBJ[0]](self)

    def _build(self) -> None:
        self._look_at((self.stack[-1],), depth=0)
        _READ[pickle.BUILD[0]](self)

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: read for code, read in _READ.items() if code != pickle.BYTEARRAY8[0]},
        **{pickle.REDUCE[0]: _call, pickle.NEWOBJ[0]: _make, pickle.BUILD[0]: _build},
    }

    def _look_at(self, arguments: Sequence[Any], depth: int = 2) -> None:
        """Count what a call is given and may copy: texts, and the places in containers, `depth` levels of these."""
        for each in arguments:
            if isinstance(each, str | bytes):
                self.ask(len(each))
            elif isinstance(each, list | tuple | set | dict):
                self.ask(len(each))
                inside = each.values() if isinstance(each, dict) else each
                if depth:
                    self._look_at([part for part in inside if isinstance(part, list | tuple | set | dict)], depth - 1)

    def _of_type(self, function: Any, kind: Any, arguments: Any, state: Any) -> Any:
        self._look_at(arguments)
        return function(*arguments)

    def tensor(
        self, storage: Any, first: int = 0, sides: Any = (), steps: Any = (), *more: Any, packed: int = 1
    ) -> Any:
        """A tensor within its storage, whose items hold up to `packed` numbers; torch would enlarge the storage."""
        if isinstance(storage, _Storage) and all(map(_whole, sides)):
            reached = _whole(first) + sum((side - 1) * _whole(step) for side, step in zip(sides, steps, strict=True))
            if reached >= storage.items * packed:
                raise WeightsError(f"it holds a tensor of {list(sides)[:8]} in {storage.items:,} numbers; {_FIX}")
        return _Anything()


class _Storage:
    def __init__(self, items: int) -> None:
        self.items = items


class _Anything(dict[Any, Any]):
    """Stands for an object; whatever a pickle puts into it is dropped."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Take what the class itself might have taken."""
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()

    def __call__(self, *arguments: Any, **named: Any) -> "_Anything":
        """A method that a pickle names gives such an object too."""
        return _Anything()

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setstate__(self, state: Any) -> None:
        """Keep nothing of it."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """As above."""

    def append(self, value: Any) -> None:
        """As above."""

    def extend(self, values: Sequence[Any]) -> None:
        """As above."""

    add = append


class _Sized(_Anything):
    """Stands for what takes as much memory as it is asked for."""

    claims: _Claims

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Count it."""
        sides = [value for value in arguments if isinstance(value, int)]
        cls.claims.ask(math.prod(sides) if sides else 0)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """A tensor may be put upon a storage."""
        if isinstance(state, tuple) and state and isinstance(state[0], _Storage):
            self.claims.tensor(*state)


def _whole(value: Any) -> int:
    """A number of things. Raises ValueError for what is none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no number of things")
    return value


def _too_much(claimed: int, held: int) -> WeightsError:
    return WeightsError(f"it claims tensors of {claimed:,} bytes and has {held:,}; {_FIX}")
