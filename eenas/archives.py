"""Bounded reading of .npz files: the claims of each array are checked against the file before memory is allocated."""

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

from eenas.bounds import check_regular, shortened_error
from eenas.errors import SpecError
from eenas.escaping import shortened

MOST_MEMBERS = 1000
"""The largest number of arrays in a file."""
FREE, RATIO = 480_000_000, 25
"""The number of bytes that any file may unpack to (held twice for a moment), and the largest ratio beyond it."""
DENSEST = 1040
"""The largest number of bytes that one byte can unpack to (deflate)."""
_CHUNK_BYTES = 1 << 20
_PLAIN_KINDS = "biufcUS"
"""NumPy's kinds of plain numbers and texts."""
_NUMPY_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_WRITE = "write it with numpy.savez"


def read_arrays(path: Path, needed: Collection[str], further: Collection[str] = ()) -> dict[str, Any]:
    """Return the arrays of a .npz file by name: all `needed`, and those of `further` that exist.

    Objects (pickles) are never read. Raises SpecError, which starts with the file, if an array is missing, is not a
    plain array of its claimed length or occurs twice, or if the file unpacks to more than 480 MB and 25 times its size.
    """
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return _read_archive(stream, path, needed, further)
    except SpecError:
        raise
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; give the path of a .npz file") from None
    except MemoryError:
        raise SpecError(f"{path}: does not fit into memory; give a smaller file, or more memory") from None
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds for damaged files
        raise SpecError(
            f"{shortened_path(path)}: not a readable .npz file ({shortened_error(error)}); {_WRITE}"
        ) from None


def shortened_path(path: Path) -> str:
    """Return a path for a message, shortened if long."""
    text = str(path)
    return text if len(text) <= 300 else shortened(text)


def _read_archive(stream: BinaryIO, path: Path, needed: Collection[str], further: Collection[str]) -> dict[str, Any]:
    start = stream.read(6)
    stream.seek(0)
    if start == b"\x93NUMPY":
        raise SpecError(f"{path}: a single array, not a .npz file; write it with numpy.savez(path, name=array, ...)")
    if not zipfile.is_zipfile(stream):
        raise SpecError(f"{path}: not a readable .npz file (not NumPy's format); {_WRITE}")
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise SpecError(f"{path}: must hold at most {MOST_MEMBERS:,} members, got {len(members):,}; {_WRITE}")
        names = [member.filename.removesuffix(".npy") for member in members]
        if twice := [name for index, name in enumerate(names) if name in names[:index]]:
            raise SpecError(f"{path}: holds {shortened(twice[0])} twice; {_WRITE}")
        if missing := [name for name in needed if name not in names]:
            held = ", ".join(shortened(name) for name in names[:20]) or "nothing"
            raise SpecError(f"{path}: the array {missing[0]!r} is missing; add it (the file holds {held})")
        pairs = zip(names, members, strict=True)
        taken = [(name, member) for name, member in pairs if name in needed or name in further]
        size, whole = sum(member.file_size for _, member in taken), path.stat().st_size
        if size > max(FREE, RATIO * whole):
            raise SpecError(
                f"{path}: may unpack to {RATIO} times its size, got {size // max(1, whole)} times ({size:,} bytes); "
                "write it with numpy.savez, which does not compress"
            )
        return {name: _read_member(archive, member, f"{path}: the array {shortened(name)}") for name, member in taken}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Any:
    """Read one array after checking its header against the length of its member."""
    import numpy as np

    if member.compress_type not in _NUMPY_METHODS or member.flag_bits & 1:
        raise SpecError(f"{where} cannot be read (its compression or encryption is not NumPy's); {_WRITE}")
    most = member.compress_size * (1 if member.compress_type == zipfile.ZIP_STORED else DENSEST)
    if member.file_size > most + 1000:
        raise SpecError(f"{where} claims {member.file_size:,} bytes, more than the file can hold; {_WRITE}")
    try:
        with archive.open(member) as stream:
            shape, in_columns, dtype = _read_header(stream)
            left = member.file_size - stream.tell()
        if dtype.hasobject:
            raise SpecError(f"{where} cannot be read (it holds objects); pickles are never read, save plain arrays")
        if dtype.kind not in _PLAIN_KINDS:
            raise SpecError(f"{where} cannot be read (it holds {dtype}); save numbers or texts")
        count = math.prod(shape)
        if len(shape) > 32 or min(shape, default=0) < 0 or count * dtype.itemsize != left:
            raise SpecError(
                f"{where} claims {shortened(shape)} values of {dtype}, but holds {left:,} bytes; write the file again"
            )
        data = bytearray(left)
        with archive.open(member) as stream:
            _read_header(stream)
            found = _filled(data, stream)
    except SpecError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise SpecError(f"{where} cannot be read ({shortened_error(error)}); write the file again") from None
    if found != left:
        raise SpecError(f"{where} cannot be read (it ends early); write the file again")
    flat = np.frombuffer(data, dtype=dtype, count=count) if count else np.empty(0, dtype=dtype)
    return flat.reshape(shape, order="F" if in_columns else "C")


def _filled(data: bytearray, stream: Any) -> int:
    """Fill `data` from the stream and return the number of bytes, -1 if the stream is longer.

    Reading past the end also verifies the checksum.
    """
    view, found = memoryview(data), 0
    while found < len(data) and (more := stream.readinto(view[found : found + _CHUNK_BYTES])):
        found += more
    return found if not stream.read(1) else -1


def _read_header(stream: Any) -> Any:
    """Read shape, order and type of the array that follows."""
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"unsupported format version {version}")
