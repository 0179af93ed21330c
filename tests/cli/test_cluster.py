"""`eenas cluster`: files that are written, and flags that no search takes."""

import pytest
from typer.testing import CliRunner

from eenas.cli.main import app

FLAGS = ("--backbone", "resnet50", "--storage", "postgresql://host/db", "--artifacts", "/shared")


@pytest.fixture
def eenas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        done = CliRunner().invoke(app, ["cluster", *words])
        return done.exit_code, done.output

    return run


@pytest.mark.parametrize(
    ("words", "file", "next_"),
    [
        (("slurm", *FLAGS), "eenas-resnet50.slurm", "next: sbatch eenas-resnet50.slurm"),
        (("ray", *FLAGS), "eenas-resnet50.sh", "next: bash eenas-resnet50.sh"),
        (
            ("kubernetes", "--image", "a/b:1", "--backbone", "resnet50"),
            "eenas-resnet50.yaml",
            "next: kubectl apply -f eenas-resnet50.yaml",
        ),
    ],
)
def test_a_job_file_is_written_and_named(eenas, tmp_path, words, file, next_):
    status, said = eenas(*words)
    assert status == 0
    assert next_ in said
    assert (tmp_path / file).is_file()
    status, said = eenas(*words)
    assert status == 2
    assert "the file exists; give --force" in said
    assert eenas(*words, "--force")[0] == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("slurm", *FLAGS, "--backbne", "x"), "No such option: --backbne"),
        (("slurm", *FLAGS, "--trials", "many"), "Invalid value for '--trials'"),
        (("slurm", *FLAGS, "--trials", "0"), "trials must be at least 1, got 0"),
        (("ray", *FLAGS, "--set", "search.trails=3"), "trails"),
        (("slurm", *FLAGS, "--study", "missing.toml"), "missing.toml"),
        (("slurm",), "a job needs the flags of its search"),
        (("slurm", "--backbone", "resnet50"), "cannot share an SQLite file"),
        (("ray", *FLAGS, "--ray", "auto"), "--ray is set by the job"),
        (("kubernetes", "--image", "a", *FLAGS), "--storage is set by the manifest"),
    ],
)
def test_wrong_flags_are_said_in_one_line_and_nothing_is_written(eenas, tmp_path, words, text):
    status, said = eenas(*words)
    assert status == 2
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert text in said
    assert list(tmp_path.iterdir()) == []
