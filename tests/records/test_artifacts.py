"""Artifacts: whole or not there, the old one kept when the disk fails, and checked when they are read."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from optuna.artifacts import FileSystemArtifactStore

from eenas.errors import StorageError
from eenas.records.artifacts import ArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "kept")


def files(store: ArtifactStore) -> list[str]:
    return sorted(file.name for file in store.root.iterdir())


def test_bytes_and_writers_are_read_back(store: ArtifactStore) -> None:
    first = store.write("weights.bin", b"abc")
    second = store.write("table.bin", lambda path: path.write_bytes(b"defg"))
    assert store.read(first) == b"abc"
    assert store.path(second).read_bytes() == b"defg"
    assert store.holds(first)
    assert files(store) == ["table.bin", "weights.bin"]
    assert ArtifactStore(store.root).read(first) == b"abc"


def test_a_new_artifact_replaces_the_old_one_and_old_references_notice(store: ArtifactStore) -> None:
    old = store.write("weights.bin", b"old")
    new = store.write("weights.bin", b"new")
    assert store.read(new) == b"new"
    assert not store.holds(old)
    with pytest.raises(StorageError, match="SHA-256 differs"):
        store.read(old)


def test_a_changed_or_missing_file_is_an_error(store: ArtifactStore) -> None:
    reference = store.write("weights.bin", b"abc")
    (store.root / "weights.bin").write_bytes(b"abd")
    with pytest.raises(StorageError, match="changed or replaced"):
        store.path(reference)
    (store.root / "weights.bin").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        store.read(reference)
    assert not store.holds(reference)


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_old_artifact(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.write("weights.bin", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            store.write("weights.bin", b"new")
    assert "\n" not in str(caught.value)
    assert store.read(old) == b"old"
    assert files(store) == ["weights.bin"]
    assert store.read(store.write("weights.bin", b"new")) == b"new"


def test_a_disk_that_is_full_halfway_leaves_the_old_artifact(store: ArtifactStore) -> None:
    old = store.write("weights.bin", b"old")

    def half(path: Path) -> None:
        path.write_bytes(b"ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="could not be written"):
        store.write("weights.bin", half)
    with pytest.raises(StorageError, match="could not be written"):
        store.write("never.bin", half)
    assert store.read(old) == b"old"
    assert files(store) == ["weights.bin"]


def test_a_writer_that_is_killed_leaves_the_old_artifact(store: ArtifactStore) -> None:
    old = store.write("weights.bin", b"old")

    def killed(path: Path) -> None:
        path.write_bytes(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("weights.bin", killed)
    assert store.read(old) == b"old"
    assert files(store) == ["weights.bin"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a@b", "a\nb", "/etc/x"])
def test_names_that_leave_the_folder_are_refused(store: ArtifactStore, name: str) -> None:
    with pytest.raises(StorageError, match="not an artifact name"):
        store.write(name, b"")
    with pytest.raises(StorageError, match="not an artifact reference"):
        store.read(f"{name}@sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("storage", "folder"), [("sqlite:///{}/study.db", "study.artifacts"), ("sqlite:///{}/plain", "plain.artifacts")]
)
def test_the_default_folder_is_beside_the_database(tmp_path: Path, storage: str, folder: str) -> None:
    store = ArtifactStore.beside(storage.format(tmp_path))
    assert store.root == tmp_path / folder
    assert store.root.is_dir()


def test_a_storage_without_a_file_needs_a_folder(tmp_path: Path) -> None:
    for storage in ("postgresql+psycopg://ann:hush@host/db", "sqlite://"):
        with pytest.raises(StorageError, match="--artifacts") as caught:
            ArtifactStore.beside(storage)
        assert "hush" not in str(caught.value)
    assert ArtifactStore.beside("sqlite://", tmp_path / "mine").root == tmp_path / "mine"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create the folder") as caught:
        ArtifactStore(tmp_path / "file" / "kept")
    assert "\n" not in str(caught.value)


def test_optuna_keeps_its_artifacts_in_the_same_folder(store: ArtifactStore, tmp_path: Path) -> None:
    other: Any = FileSystemArtifactStore(store.root)
    reference = store.write("weights.bin", b"abc")
    (tmp_path / "x").write_bytes(b"x")
    with (tmp_path / "x").open("rb") as stream:
        other.write("some-id", stream)
    assert store.read(reference) == b"abc"
    assert files(store) == ["some-id", "weights.bin"]
