"""The samples of one tar file of a WebDataset: where each image lies, and its label; read once and cached."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eenas.bounds import parse_json, shortened_error
from eenas.errors import PictureError, SpecError, StorageError, TaskError
from eenas.escaping import one_line, shortened
from eenas.files import is_hidden, write_atomically
from eenas.tasks.images.depth import is_deep
from eenas.tasks.images.image_files import SMALLEST
from eenas.tasks.images.orientation import orientation
from eenas.tasks.images.picture import bounded, image_endings, opened

MOST_MEMBER = 1 << 28
"""The largest member in bytes that is read."""
_LABELS, _KEYS = (".cls", ".json"), ("label", "cls", "class")
_MOST_LABEL = 1 << 16  # bytes of a member
_LONGEST_CLASS = 255  # characters
_GREY = ("1", "L", "LA", "La")
_RULES = 2  # increase the number when the index changes: all shards are read again


@dataclass(frozen=True, eq=False)
class TarShard:
    """The samples of the tar file `path`, in its order.

    `rows` [n] has the fields `offset` and `length` (bytes of the image in the file), `width`, `height`, `grey`,
    `digest` (64 bits of the image), `label` and `name` (text).
    """

    path: Path
    rows: NDArray[np.void]

    @classmethod
    def of(cls, path: Path) -> "TarShard":
        """Return the index of a tar file, from the cache if the file has not changed.

        Raises TaskError, which names the file and the member.
        """
        try:
            facts = path.stat()
        except OSError as error:
            raise TaskError(f"{_shown(path)}: cannot be read ({error.strerror or error})") from None
        key = f"{_RULES} {os.path.realpath(path)} {facts.st_size} {facts.st_mtime_ns}"
        kept = _cache_file(key)
        rows = _kept_rows(kept, facts.st_size)
        if rows is None:
            rows = _read(path, facts.st_size)
            with suppress(StorageError):
                write_atomically(kept, lambda file: _write(file, rows))
        return cls(path, rows)

    def image(self, row: int) -> bytes:
        """Return the bytes of an image. Raises TaskError if the file is shorter than its index says."""
        offset, length = int(self.rows["offset"][row]), int(self.rows["length"][row])
        with self.path.open("rb") as stream:
            stream.seek(offset)
            found = stream.read(length)
        if len(found) < length:
            raise TaskError(f"{self.name(row)}: the tar file was cut off; write it again")
        return found

    def name(self, row: int) -> str:
        """Return the file and the member of a sample, printable."""
        return f"{_shown(self.path)}: {one_line(str(self.rows['name'][row]))}"


def _read(path: Path, size: int) -> NDArray[np.void]:
    samples: dict[str, dict[str, tuple[tarfile.TarInfo, bytes]]] = {}
    for member, content in _members(path, size):
        folder, _, base = member.name.rpartition("/")
        stem, _, ending = base.partition(".")
        kind = "image" if f".{ending.lower()}".endswith(image_endings()) else f".{ending.lower()}"
        if kind != "image" and kind not in _LABELS:
            continue
        sample = samples.setdefault(f"{folder}/{stem}", {})
        if kind in sample:
            raise _bad(path, member.name, "its sample has two members of this kind", "keep one")
        sample[kind] = (member, _image_facts(path, member, content) if kind == "image" else content)
    found = []
    for key, sample in samples.items():
        if "image" not in sample or not any(kind in sample for kind in _LABELS):
            missing = "no image" if "image" not in sample else f"no {' or '.join(_LABELS)} member with its label"
            raise _bad(path, key.lstrip("/"), f"the sample has {missing}", "add it, or remove the sample")
        member, facts = sample["image"]
        kind = next(kind for kind in _LABELS if kind in sample)
        label = _label(path, sample[kind][0].name, kind, sample[kind][1])
        width, height, grey, digest = np.frombuffer(facts, dtype="<u8").tolist()
        found.append((member.offset_data, member.size, width, height, bool(grey), digest, label, member.name))
    if not found:
        raise TaskError(f"{_shown(path)}: holds no images; a WebDataset has members such as 0001.jpg and 0001.cls")
    widths = [max(len(str(each[place])) for each in found) for place in (6, 7)]
    numbers = [("offset", "<i8"), ("length", "<i8"), ("width", "<i8"), ("height", "<i8"), ("grey", "?")]
    fields = [*numbers, ("digest", "<u8"), ("label", f"<U{widths[0]}"), ("name", f"<U{widths[1]}")]
    return np.array(found, dtype=np.dtype(fields))


def _members(path: Path, size: int) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield the files of an uncompressed tar file with their content; others than images and labels without it."""
    try:
        with tarfile.open(path, "r:") as archive, path.open("rb") as stream:
            for member in archive:
                base = member.name.rpartition("/")[2]
                if not member.isreg() or is_hidden(base):
                    continue
                wanted = base.lower().endswith((*image_endings(), *_LABELS))
                if wanted and (member.size > MOST_MEMBER or member.issparse()):
                    raise _bad(path, member.name, f"has {member.size:,} bytes or holes", "store the image alone")
                if member.offset_data + member.size > size:
                    raise _bad(path, member.name, "the tar file was cut off in it", "write the file again")
                stream.seek(member.offset_data)
                yield member, stream.read(member.size) if wanted else b""
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a missing end for one
                raise TaskError(f"{_shown(path)}: the tar file was cut off; write it again")
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError) as error:
        why = shortened_error(error)
        raise TaskError(f"{_shown(path)}: not an uncompressed tar file ({why}); write it again without -z") from None


def _image_facts(path: Path, member: tarfile.TarInfo, content: bytes) -> bytes:
    """Return width, height, grey and digest of an image, which is decoded once, as four numbers of 64 bits."""
    try:
        with opened(io.BytesIO(content)) as image:
            if is_deep(image):
                raise PictureError("has more than 8 bits a channel; store it with 8, or use folder:PATH")
            turned = orientation(image) >= 5 and image.format != "TIFF"
            width, height = image.size[::-1] if turned else image.size
            grey = image.mode in _GREY
            bounded(image, SMALLEST)
            image.load()
    except PictureError as error:
        raise _bad(path, member.name, str(error), "replace or remove the sample") from None
    digest = int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
    return np.array([width, height, grey, digest], dtype="<u8").tobytes()


def _label(path: Path, name: str, kind: str, content: bytes) -> str:
    if len(content) > _MOST_LABEL:
        raise _bad(path, name, f"a label of {len(content):,} bytes", "store the class alone")
    try:
        text = content.decode("utf-8").strip()
        value: Any = text if kind == ".cls" else _of_table(parse_json(text))
    except (UnicodeDecodeError, SpecError, ValueError) as error:
        raise _bad(path, name, f"not a label ({shortened_error(error)})", "store a class number or name") from None
    label = "" if isinstance(value, bool) or not isinstance(value, int | str) else str(value).strip()
    if not label or label != one_line(label) or len(label) > _LONGEST_CLASS:
        raise _bad(path, name, f"the label is {shortened(value)}", "store a class number or name")
    return label


def _of_table(table: Any) -> Any:
    return next((table[key] for key in _KEYS if key in table), None) if isinstance(table, dict) else table


def _bad(path: Path, member: str, fault: str, fix: str) -> TaskError:
    return TaskError(f"{_shown(path)}: {one_line(member)}: {fault}; {fix}")


def _shown(path: Path) -> str:
    return one_line(str(path))


def _cache_file(key: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.environ.get("EENAS_CACHE") or os.path.join(home, "eenas")
    return Path(place) / f"shard-{hashlib.sha256(os.fsencode(key)).hexdigest()[:16]}.npy"


def _write(file: Path, rows: NDArray[np.void]) -> None:
    with file.open("wb") as stream:
        np.save(stream, rows)


def _kept_rows(file: Path, size: int) -> NDArray[np.void] | None:
    """Return a stored index, or None if there is none, or it is damaged or larger than the tar file could need."""
    try:
        if file.stat().st_size > 16 * size + 4096:
            return None
        with file.open("rb") as stream:
            rows: NDArray[np.void] = npy.read_array(stream, allow_pickle=False)
        names = rows.dtype.names
        wanted = ("offset", "length", "width", "height", "grey", "digest", "label", "name")
        return rows if rows.ndim == 1 and len(rows) and names == wanted else None
    except Exception:  # NumPy raises many types of errors for a damaged file
        return None
