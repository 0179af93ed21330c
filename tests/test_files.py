"""A file or a folder is written whole or not at all, and what a dead process left half-written goes."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eenas import files
from eenas.errors import StorageError
from eenas.files import remove_stale, replace_folder, write_atomically, write_text


def test_a_text_is_utf8_whatever_the_locale(tmp_path):
    write_text(tmp_path / "folder" / "a.txt", "größer ≥ 日本\n")
    assert (tmp_path / "folder" / "a.txt").read_bytes() == "größer ≥ 日本\n".encode()
    assert [each.name for each in (tmp_path / "folder").iterdir()] == ["a.txt"]


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_atomically(path, lambda part: part.write_text("new"))
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (
            RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0"),
            "its disk or a quota may be full",
        ),
        (Exception("I/O error: No space left on device (os error 28)"), "No space left on device"),
    ],
)
def test_a_full_disk_leaves_the_old_file(tmp_path, problem, said):
    path = tmp_path / "weights.pt"
    path.write_text("old")

    def write(part):
        part.write_text("half of the n")
        raise problem

    with pytest.raises(StorageError, match=rf"weights.pt: could not be written \({said}\); free space or give another"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(KeyError):
        write_atomically(tmp_path / "x", lambda part: {}["missing"])
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x", lambda part: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        write_atomically(tmp_path / "file" / "x", lambda part: part.write_text("new"))


def dead_process():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def left_by(process, name="x", host=None, kind="part"):
    return f".{name}.eenas-{files._HOST if host is None else host}-{process}-abc123.{kind}"


def test_what_dead_processes_left_is_removed_and_what_living_ones_write_is_not(tmp_path):
    dead = dead_process()
    (tmp_path / left_by(dead)).write_text("half")
    (tmp_path / left_by(dead, "folder")).mkdir()
    (tmp_path / left_by(dead, "folder") / "file").write_text("half")
    old = tmp_path / left_by(1, "y", host="elsewhere")
    stays = {left_by(os.getppid()), left_by(1, "x", host="elsewhere"), ".download.part", ".x.abc123.part"}
    for name in (*stays, old.name):
        (tmp_path / name).write_text("half")
    os.utime(old, (0, 0))
    write_atomically(tmp_path / "new", lambda part: part.write_text("new"))
    assert {item.name for item in tmp_path.iterdir()} == {"new", *stays}


def test_a_long_name_leaves_room_for_that_of_its_temporary_file(tmp_path):
    path = tmp_path / ("n" * 250)
    write_atomically(path, lambda part: part.write_text("new"))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def make(folder, text, name="file"):
    with replace_folder(folder, keep=lambda name: name in ("notes.txt", "mine")) as work:
        write_atomically(work / name, lambda part: part.write_text(text))
        yield work


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_in_one_step_and_keeps_what_it_is_to_keep(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    folder = tmp_path / "folder"
    for _ in make(folder, "old", "first"):
        assert not folder.exists()
    (folder / "notes.txt").write_text("mine")
    for _ in make(folder, "new", "second"):
        assert {item.name for item in folder.iterdir()} == {"first", "notes.txt"}
    assert {item.name: item.read_text() for item in folder.iterdir()} == {"second": "new", "notes.txt": "mine"}
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_a_folder_whose_new_one_failed_is_as_it_was(tmp_path):
    folder = tmp_path / "folder"
    list(make(folder, "old"))
    change = make(folder, "new")
    next(change)
    with pytest.raises(KeyboardInterrupt):
        change.throw(KeyboardInterrupt)
    assert {item.name: item.read_text() for item in folder.iterdir()} == {"file": "old"}
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_cannot_be_replaced_itself_has_its_files_replaced(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    list(make(folder, "old", "first"))
    (folder / "notes.txt").write_text("mine")
    (folder / "mine").mkdir()
    (folder / "mine" / "a.txt").write_text("mine, too")
    monkeypatch.setattr(files.os.path, "ismount", lambda path: path == folder)

    def refuse(self, to):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "rename", refuse)
    list(make(folder, "new", "second"))
    found = {item.relative_to(folder).as_posix(): item.read_text() for item in folder.rglob("*") if item.is_file()}
    assert found == {"second": "new", "notes.txt": "mine", "mine/a.txt": "mine, too"}


def test_a_process_that_died_between_two_renames_leaves_the_old_folder(tmp_path):
    aside = tmp_path / left_by(dead_process(), "folder", kind="old")
    aside.mkdir()
    (aside / "file").write_text("old")
    remove_stale(tmp_path)
    assert (tmp_path / "folder" / "file").read_text() == "old"


def test_the_fix_of_a_place_that_cannot_be_written_is_not_space(tmp_path):
    def write(part):
        raise Exception("Error while serializing: I/O error: Permission denied (os error 13)")

    with pytest.raises(StorageError, match=r"x: could not be written \(Permission denied\); make it writable or give"):
        write_atomically(tmp_path / "x", write)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux")
def test_a_full_disk_is_said_in_the_words_of_the_system(tmp_path):
    def write(part):
        part.unlink()
        part.symlink_to("/dev/full")  # every write there fails as on a full disk
        torch.save({"weight": torch.zeros(10)}, part)

    with pytest.raises(StorageError) as error:
        write_atomically(tmp_path / "c.pt", write)
    assert str(error.value) == (
        f"{tmp_path}/c.pt: could not be written (No space left on device); free space or give another folder"
    )
    assert not list(tmp_path.iterdir())
