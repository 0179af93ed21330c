"""The documentation's own branch, its very code: checked, searched, read in another process, trained and exported."""

import pytest

import eenas
from eenas.branches.registry import family
from eenas.deployment.export import export
from eenas.errors import EenasError, PluginError
from eenas.results.choice import Choice
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.study.settings.study_spec import load_settings
from eenas.testing.smallest import smallest_task
from eenas.user_code import load_object
from tests.plugin_page import FILES, write_files
from tests.processes import Program
from tests.smallest_study import SETTINGS, backbone

NAME = "./my_branch.py:MyBranch"
READ = "import sys, eenas; print(eenas.open_results(sys.argv[1], trust_code=len(sys.argv) > 2).front)"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the documentation's files, as the working folder."""
    folder = tmp_path_factory.mktemp("own")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def results(home):
    return search(
        backbone(),
        task=smallest_task(),
        space="mine.toml",
        device="cpu",
        trials=3,
        trust_code=True,
        overrides=(
            *SETTINGS,
            "space.branches=2",
            "space.cost_cap=1.0",
            "space.branch.on=true",
            f"space.branch.structure={NAME}",
        ),
    )


def trial_of(results):
    return next(trial.number for trial in results.trials if NAME in str(trial.design.to_table()))


def test_it_is_short():
    assert len(FILES["my_branch.py"].splitlines()) <= 17
    assert len([line for line in FILES["my_branch.py"].splitlines() if line.strip() and not line.startswith("#")]) <= 15


def test_the_space_is_searched_as_it_stands(home):
    settings, _ = load_settings(backbone="cifar_resnet20", space="mine.toml")
    assert NAME in settings.space.branch["structure"].choices


def test_a_search_finds_designs_with_it(results):
    placed = results.trials[trial_of(results)].design.branches
    assert {each.branch.kind for each in placed} == {NAME}
    assert {each.branch.width for each in placed} <= {16, 32}
    assert placed[0].branch.label() in ("MyBranch 16", "MyBranch 32")


def test_another_process_reads_the_study_only_with_the_users_word(results, home):
    storage = f"sqlite:///{home}/eenas.db"
    refused = Program(READ, storage, cwd=home)
    refused.end(status=1)
    assert f"{NAME!r} runs Python code; pass --trust-code (trust_code=True)" in refused.err.splitlines()[-1]
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    assert "MyBranch" in Program(READ, storage, "trusted", cwd=elsewhere).end()


def test_it_is_trained_and_taken_home(results, home):
    chosen = {"choice": Choice(network=f"trial {trial_of(results)}"), "backbone": backbone(), "task": smallest_task()}
    report = train(name=results.name, out="run", device="cpu", trust_code=True, **chosen)
    assert "MyBranch" in report.exits[0].structure
    again = train(name=results.name, out="run", device="cpu", trust_code=True, **chosen)
    assert again.design == report.design
    out = export("model", run="run", backbone=backbone(), trust_code=True)
    assert eenas.load(out, backbone=backbone(), trust_code=True).exits == tuple(exit_.name for exit_ in report.exits)
    untrained = export("untrained", network=f"trial {trial_of(results)}", backbone=backbone(), trust_code=True)
    assert NAME in (untrained / "design.json").read_text()


def test_a_space_in_another_folder_finds_it_beside_itself(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    for name in ("my_branch.py", "mine.toml"):
        (tmp_path / "spaces" / name).write_bytes((home / name).read_bytes())
    settings, folder = load_settings(backbone="cifar_resnet20", space="spaces/mine.toml")
    assert folder is None
    reference = settings.space.branch["structure"].choices[1]
    assert reference == "spaces/my_branch.py:MyBranch"
    assert family(reference, trust_code=True)().width == 32
    with pytest.raises(PluginError, match="no such file"):
        load_object(NAME, trust_code=True)


def test_without_the_users_word_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.py").write_text(FILES["my_branch.py"])
    with pytest.raises(EenasError, match=r"'./other.py:MyBranch' runs Python code; pass --trust-code"):
        search(backbone(), task=smallest_task(), overrides=("space.branch.structure=./other.py:MyBranch",))
    assert [path.name for path in tmp_path.iterdir()] == ["other.py"]
