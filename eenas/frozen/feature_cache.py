"""The feature cache: features of the frozen backbone at cut points, on disk in half precision, or exact."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from eenas.errors import SpecError, StorageError
from eenas.escaping import shortened
from eenas.files import temporary_beside, write_text
from eenas.frozen.stored_features import Batch, StoredFeatures, batches_of, merged
from eenas.names import file_part

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def read_size(text: str) -> int:
    """Return the bytes of a size such as "2GB" or "500 MB". Raises SpecError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS or not float(match[1]):
        raise SpecError(f"a size is a number above 0 with B, KB, MB, GB or TB, such as 2GB, got {shortened(text)}")
    return int(float(match[1]) * UNITS[match[2].upper()])


class FeatureCache:
    """A folder of features of at most `limit` bytes.

    Features belong to streams: samples in a fixed order, named by the digest of everything that determines the
    features. A file holds the features of a stream at one cut point, float16 [rows, *shape], or batches of different
    lengths one after another. An `exact` stream is float32: half precision would change carried columns such as the
    numbers of nodes above 2048. A JSON table beside it, written last, holds its shapes and SHA-256, so that an
    incomplete file is never used. The least recently used streams are deleted to make room. A disk error turns the
    cache off with one line to `notify`; features are computed then.
    """

    def __init__(self, folder: Path, limit: int, notify: Callable[[str], object]) -> None:
        self.folder, self.limit, self.notify = folder, limit, notify
        self.off = False
        self._verified: set[Path] = set()

    def stream(self, key: str, rows: int, *, exact: bool = False) -> "FeatureStream":
        """Return the stream `key` (hexadecimal) of `rows` samples, at its beginning."""
        return FeatureStream(self, key, rows, exact=exact)

    def turn_off(self, reason: object) -> None:
        """Store nothing from now on."""
        if not self.off:
            self.off = True
            self.notify(f"feature cache: turned off ({reason}); features are computed each time instead")

    def make_room(self, needed: int, key: str) -> bool:
        """Delete old streams other than `key`, and return whether `needed` bytes more are within the limit."""
        if needed > self.limit:
            return False
        files = sorted(self.folder.glob("*.f[13]?"), key=lambda file: file.stat().st_mtime)
        used = sum(file.stat().st_size for file in files)
        for file in files:
            if used + needed <= self.limit:
                break
            if not file.name.startswith(f"{key}-"):
                used -= file.stat().st_size
                _table_of(file).unlink(missing_ok=True)
                file.unlink(missing_ok=True)
        return used + needed <= self.limit

    def find(self, file: Path) -> StoredFeatures | None:
        """Return the features of a file, memory-mapped, or None if it is missing or incomplete.

        The checksum of a file is verified once per cache object.
        """
        try:
            table = json.loads(_table_of(file).read_text())
            if file not in self._verified and _sha256(file) != table["sha256"]:
                return None
            self._verified.add(file)
            file.touch()
            return StoredFeatures(file, batches_of(table))
        except (OSError, ValueError, KeyError, TypeError):
            return None


class FeatureStream:
    """One pass over the samples of a stream, from disk if complete, otherwise computed by the caller.

    A `with` block is one pass. It calls `finish` at its end; an error in it discards the files of this pass.
    """

    def __init__(self, cache: FeatureCache, key: str, rows: int, *, exact: bool = False) -> None:
        self._cache, self._key, self._rows = cache, key, rows
        self._dtype = torch.float32 if exact else torch.float16
        self._at = 0
        self._open: dict[str, StoredFeatures] = {}
        self._parts: dict[str, BinaryIO] | None = None
        self._batches: dict[str, list[Batch]] = {}

    def __enter__(self) -> "FeatureStream":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.finish()
        else:
            self._drop()

    def holds(self, names: Sequence[str]) -> bool:
        """Whether the features of all samples at all these cut points are on disk."""
        for name in names:
            if name not in self._open:
                found = self._cache.find(self._file(name))
                if found is None or len(found) != self._rows:
                    return False
                self._open[name] = found
        return True

    def read(self, names: Sequence[str], count: int, device: torch.device) -> dict[str, Tensor]:
        """Return the features of the next `count` samples, in float32; zeros follow those that are shorter."""
        first = self._at
        self._at += count
        return {name: torch.from_numpy(self._open[name].read(first, count)).to(device) for name in names}

    def write(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Store the features of the next samples, and return them as on disk, in half precision unless exact."""
        stored = {name: value.to(self._dtype) for name, value in features.items()}
        if self._parts is None:
            self._parts = self._begin(stored)
        for name, file in self._parts.items():
            value = stored[name]
            if not bool(torch.isfinite(value).all()):
                self._give_up(f"the features at {name} do not fit into {self._precision}")
                break
            try:
                file.write(value.contiguous().cpu().numpy().tobytes())
                self._batches.setdefault(name, []).append(tuple(value.shape))
            except OSError as error:
                self._give_up(error.strerror or error)
                break
        self._at += len(next(iter(stored.values())))
        return {name: value.float() for name, value in stored.items()}

    def resume_at(self, rows: int) -> None:
        """Skip the first `rows` samples, which an interrupted pass has seen. This pass writes nothing."""
        self._at, self._parts = rows, {}

    def finish(self) -> None:
        """End the pass and keep the complete files."""
        parts, self._parts = self._parts or {}, None
        for name, part in parts.items():
            try:
                part.close()
                written = Path(part.name)
                file, size = self._file(name), written.stat().st_size
                batches = merged(self._batches.pop(name, []))
                if self._at != self._rows or size != sum(self._dtype.itemsize * math.prod(batch) for batch in batches):
                    written.unlink()
                    continue
                stated = {"shape": list(batches[0])} if len(batches) == 1 else {"batches": batches}
                table = json.dumps({**stated, "sha256": _sha256(written)})
                written.replace(file)
                write_text(_table_of(file), table)
            except (OSError, StorageError) as error:
                self._cache.turn_off(getattr(error, "strerror", None) or error)

    def _begin(self, stored: Mapping[str, Tensor]) -> dict[str, BinaryIO]:
        """Open the files to write, or none if the cache is off or they would exceed the limit."""
        row = {name: value.itemsize * math.prod(value.shape[1:]) for name, value in stored.items()}
        needed = {name: self._rows * size for name, size in row.items()}
        self._batches = {}
        new = [name for name in stored if self._cache.find(self._file(name)) is None]
        cache, total = self._cache, sum(needed[name] for name in new)
        if cache.off:
            return {}
        try:
            cache.folder.mkdir(parents=True, exist_ok=True)
            if not cache.make_room(total, self._key):
                cache.turn_off(f"{total / 1e9:.2g} GB are needed at once, the limit is {cache.limit / 1e9:.2g} GB")
                return {}
            return {name: temporary_beside(self._file(name)).open("wb") for name in new}
        except OSError as error:
            cache.turn_off(error.strerror or error)
            return {}

    def _give_up(self, reason: object) -> None:
        self._drop()
        self._cache.turn_off(reason)

    def _drop(self) -> None:
        """Delete the files of this pass."""
        for part in (self._parts or {}).values():
            with suppress(OSError):  # the disk is full
                part.close()
            Path(part.name).unlink(missing_ok=True)
        self._parts = {}

    @property
    def _precision(self) -> str:
        return "single precision" if self._dtype is torch.float32 else "half precision"

    def _file(self, name: str) -> Path:
        return self._cache.folder / f"{self._key}-{file_part(name)}.f{8 * self._dtype.itemsize}"


def _table_of(file: Path) -> Path:
    return file.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
