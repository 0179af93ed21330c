"""`eenas cluster`: files that are written, and flags that no search takes."""

import pytest
from typer.testing import CliRunner

from eenas.cli.main import app

FLAGS = ("--backbone", "resnet50", "--storage", "postgresql://host/db", "--artifacts", "/shared")
KUBERNETES = ("kubernetes", "--image", "a", "--backbone", "resnet50")


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
        (("slurm", *FLAGS, "--feature-cache", "much"), "a size is a number above 0"),
        (("slurm", *FLAGS, "--feature-cache", '2"GB'), "a size is a number above 0"),
        (("slurm", *FLAGS, "--no-bank", "--set", "bank.share=-1"), "bank.share must not be negative"),
        (("slurm", *FLAGS, "--device", "gpu"), "unknown device 'gpu'"),
        (("ray", *FLAGS, "--device", "cuda:\u0663"), "unknown device"),
        (("slurm", *FLAGS, "--gpus", "0", "--device", "cuda"), "--device cuda must be among the GPUs of a worker"),
        (("ray", *FLAGS, "--gpus", "2", "--device", "cuda:2"), "--device cuda:2 must be among the GPUs"),
        (("slurm", *FLAGS, "--latency-profile", "none.json"), "none.json: cannot be read"),
        (("slurm", *FLAGS, "--artifacts", "s4://bucket"), "unknown kind of store 's4'"),
        (("slurm", *FLAGS, "--artifacts", "s3://me:secret@bucket"), "credentials do not belong in the URL"),
        (("slurm", *FLAGS[:4]), "this storage has no artifact folder; give one that all workers share"),
        (("slurm", *FLAGS, "--workers", "1", "--storage", "mysql://host/db"), "lack UPDATE ... RETURNING"),
        (("slurm", *FLAGS, "--storage", "sqlite://"), "cannot share an SQLite file"),
        (("ray", *FLAGS, "--runtime-env", "none.json"), "none.json: cannot be read"),
        ((*KUBERNETES, "--trials", "0"), "trials must be at least 1, got 0"),
        ((*KUBERNETES, "--set", "search.trails=3"), "trails"),
        ((*KUBERNETES, "--feature-cache", "much"), "a size is a number above 0"),
        ((*KUBERNETES, "--no-bank", "--set", "bank.designs=-1"), "bank.designs must not be negative"),
        ((*KUBERNETES, "--gpus", "0", "--device", "cuda:0"), "--device cuda:0 must be among the GPUs"),
        ((*KUBERNETES, "--memory", "200M"), "--memory must be at least 256M"),
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


def test_slurm_says_how_many_tasks_an_array_may_have(eenas):
    assert "MaxArraySize" not in eenas("slurm", *FLAGS, "--workers", "1001")[1]
    status, said = eenas("slurm", *FLAGS, "--workers", "1002", "--force")
    assert status == 0
    assert "at most MaxArraySize tasks, 1001 unless the cluster sets it" in said
    status, said = eenas("slurm", *FLAGS, "--workers", "1025", "--force")
    assert (status, said.count("\n")) == (2, 1)
    assert "--workers must be a whole number from 1 to 1024, got 1025" in said


def test_files_that_only_the_image_has_are_named_and_their_settings_not_checked(eenas, tmp_path):
    words = ("kubernetes", "--image", "a", "--study", "/image/mine.toml", "--set", "search.trails=3")
    status, said = eenas(*words)
    assert status == 0
    assert "/image/mine.toml: not in this folder, so the settings of the search are not checked" in said
    assert (tmp_path / "eenas-mine.yaml").is_file()
    (tmp_path / "mine.toml").write_text('[backbone]\nname = "resnet50"\n[search]\ntrails = 3\n')
    status, said = eenas("kubernetes", "--image", "a", "--study", "mine.toml", "--force")
    assert (status, said.count("\n")) == (2, 1)
    assert "trails" in said
