"""Arrays are read within bounds: a header that lies, a bomb or an object is refused before memory is taken."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eenas import archives
from eenas.archives import read_arrays
from eenas.errors import SpecError


def header(shape: tuple[int, ...], kind: str = "<f8", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode()


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_every_plain_kind_come_back(save, tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4),
        "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "c": np.array(["x", "Größe"]),
        "d": np.zeros((0, 3), dtype=np.uint8),
        "e": np.array(5),
        "f": np.array([True, False]),
        "g": np.arange(3, dtype=">i4"),
    }
    save(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz", list("abcdef"), ("g", "none"))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
        assert found[name].flags.writeable


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (header((10**12,)) + b"x" * 8, "claims"),
        (header((2**40, 2**40)) + b"x" * 8, "claims"),
        (header((-1,)) + b"x" * 8, "claims"),
        (header((3,)) + b"x" * 8, "claims"),
        (header((1,) * 40) + b"x" * 8, "claims"),
        (header((1,), "|O") + b"x" * 8, "pickles are never read"),
        (header((1,), "<M8[s]") + b"x" * 8, "save numbers or texts"),
        (header((1,), version=b"\x09\x00") + b"x" * 8, "cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff{" + b"(" * 60_000, "cannot be read"),
        (b"text", "cannot be read"),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_that_lie_are_refused_before_memory_is_taken(
    data: bytes, said: str, method: int, tmp_path: Path
) -> None:
    path = archive(tmp_path / "a.npz", ("a.npy", data), method=method)
    tracemalloc.start()
    with pytest.raises(SpecError, match=said) as caught:
        read_arrays(path, ["a"])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000
    assert len(str(caught.value).splitlines()) == 1


def test_bombs_doubles_and_crowds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE", 1_000_000)
    data = header((2_000_000,), "|u1") + bytes(2_000_000)
    bomb = archive(tmp_path / "bomb.npz", ("a.npy", data), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(SpecError, match="may unpack to 25 times its size"):
        read_arrays(bomb, ["a"])
    one = header((1,)) + b"x" * 8
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(tmp_path / "twice.npz", ("a.npy", one), ("a.npy", one))
    with pytest.raises(SpecError, match="holds 'a' twice"):
        read_arrays(twice, ["a"])
    crowd = archive(tmp_path / "crowd.npz", *((f"a{index}.npy", one) for index in range(1001)))
    with pytest.raises(SpecError, match="at most 1,000 members, got 1,001"):
        read_arrays(crowd, ["a0"])
    with pytest.raises(SpecError, match="its compression"):
        read_arrays(archive(tmp_path / "lzma.npz", ("a.npy", one), method=zipfile.ZIP_LZMA), ["a"])


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    for path, said in (
        (tmp_path / "none.npz", "no such file"),
        (tmp_path, "directory"),
        (tmp_path / "one.npy", "a single array"),
        (tmp_path / ("x" * 5000), "not a readable .npz file"),
    ):
        with pytest.raises(SpecError, match=said) as caught:
            read_arrays(path, ["a"])
        assert len(str(caught.value)) < 600
