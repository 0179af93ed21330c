"""A file is written whole or not at all, and a file is a lock among processes."""

import errno
import subprocess
import sys
import threading

import pytest

from eenas.errors import StorageError
from eenas.files import locked, write_whole


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_whole(path, lambda part: part.write_text("new"))
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:659] . unexpected pos 64 vs 0"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_leaves_the_old_file(tmp_path, problem):
    path = tmp_path / "weights.pt"
    path.write_text("old")

    def write(part):
        part.write_text("half of the n")
        raise problem

    with pytest.raises(StorageError, match=r"weights.pt: could not be written .*; free space or choose another"):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(KeyError):
        write_whole(tmp_path / "x", lambda part: {}["missing"])
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x", lambda part: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        write_whole(tmp_path / "file" / "x", lambda part: part.write_text("new"))


def test_a_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with locked(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert max(most) == 1


def test_a_lock_falls_with_its_process(tmp_path):
    code = "import os, sys, pathlib, eenas.files as f\nwith f.locked(pathlib.Path(sys.argv[1])): os._exit(9)"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False, timeout=30)
    assert ended.returncode == 9
    with locked(tmp_path / "lock"):
        pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="no lock can be made"), locked(tmp_path / "missing" / "lock"):
        pass
