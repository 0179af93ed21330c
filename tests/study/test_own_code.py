"""Plug-ins of every kind (docs/how-to/plugins.md) at once: searched, read in another process, trained and exported."""

import numpy as np
import pytest

import eenas
from eenas.deployment.export import export
from eenas.errors import EenasError, ExportError, PluginError
from eenas.policies.kinds.registry import POLICIES
from eenas.programs.runtime import load
from eenas.results.choice import Choice
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from tests.plugin_page import write_files
from tests.processes import Program
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

OWN = {
    "space.branch.structure": "./my_branch.py:MyBranch",
    "space.placement.kind": "./my_placement.py:earliest",
    "space.training.strategy": "./my_strategy.py:last_then_all",
    "space.policy.kind": "./my_policy.py:Gini",
    "latency.runtime": "./my_runtime.py:Board",
}
SPACE = f"""branches = 2
cost_cap = 1.0
placement.kind = "{OWN["space.placement.kind"]}"
training.strategy = "{OWN["space.training.strategy"]}"
[branch]
structure = "{OWN["space.branch.structure"]}"
width = [16, 32]
[policy]
kind = "{OWN["space.policy.kind"]}"
target_macs = [0.4, 0.8]
"""
NAMED = {"backbone": "./my_net.py:make", "task": "./my_task.py:task"}
READ = (
    "import sys, eenas; results = eenas.open_results('sqlite:///eenas.db', trust_code=len(sys.argv) > 1);"
    "print([trial.chosen.policy.kind for trial in results.trials if trial.chosen])"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("own"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def results(home):
    (home / "own.toml").write_text(SPACE)
    runtime = f"latency.runtime={OWN['latency.runtime']}"
    overrides = (*SETTINGS, runtime, "bank.designs=0", "search.known_designs=false", "search.prune=false")
    return search(**NAMED, space="own.toml", device="cpu", trials=3, trust_code=True, overrides=overrides)


def proposed(results):
    """The trials that the sampler drew, not the first ones that are known designs."""
    return [trial for trial in results.trials if trial.origin == "sampler" and trial.design]


def test_designs_hold_what_the_space_names(results):
    drawn = proposed(results)
    assert drawn, "nothing was drawn"
    for trial in drawn:
        design = trial.design
        assert {placed.branch.kind for placed in design.branches} == {OWN["space.branch.structure"]}
        assert [placed.cut_point for placed in design.branches] == ["0", "1"], "the earliest places"
        assert design.training.strategy == OWN["space.training.strategy"]
        assert design.policy.kind == OWN["space.policy.kind"]
    assert {trial.chosen.policy.kind for trial in drawn if trial.chosen} == {OWN["space.policy.kind"]}


def test_latencies_are_of_the_own_runtime(results):
    assert results.settings.latency.runtime == OWN["latency.runtime"]
    assert results.backbone.costs["latency"] > 0


def test_another_process_reads_it_only_with_the_users_word(results, home):
    refused = Program(READ, cwd=home)
    refused.end(status=1)
    assert "runs Python code; pass --trust-code (trust_code=True)" in refused.err.splitlines()[-1]
    assert OWN["space.policy.kind"] in Program(READ, "trusted", cwd=home).end()


@pytest.fixture(scope="module")
def report(results):
    """A run of a trial that was drawn, exported to the folder `model`."""
    choice = Choice(network=f"trial {proposed(results)[-1].number}")
    found = train(name=results.name, out="run", device="cpu", trust_code=True, choice=choice)
    export("model", run="run", trust_code=True, format="onnx")
    return found


def test_it_is_trained_exported_and_run(report):
    assert report.reported.policy.kind == OWN["space.policy.kind"]
    assert RunReport.read("run", trust_code=True).design == report.design
    network, model = eenas.load("model", trust_code=True), load("model", trust_code=True)
    assert type(network.policy) is type(model.policy) is POLICIES.find(OWN["space.policy.kind"])
    images = np.random.default_rng(0).integers(0, 256, size=(40, 3, 8, 8), dtype=np.uint8)
    answer = model.predict(images)
    assert answer.classes.shape == (40,)
    assert set(answer.exits.tolist()) <= {0, 1, 2}


def test_an_exported_model_asks_for_the_users_word(report, monkeypatch):
    monkeypatch.setattr(POLICIES, "_trusted", {})
    with pytest.raises(PluginError, match="runs Python code; pass --trust-code"):
        load("model")
    with pytest.raises((PluginError, ExportError), match="Python code; pass"):
        eenas.load("model")


@pytest.mark.parametrize("key", OWN)
def test_without_the_users_word_nothing_is_written(key, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    before = sorted(tmp_path.iterdir())
    place, _, name = OWN[key].removeprefix("./").rpartition(":")
    (tmp_path / place).rename(tmp_path / f"other_{place}")
    with pytest.raises(EenasError, match=rf"other_{place}:{name}' runs Python code; pass --trust-code"):
        search("cifar_resnet20", task="digits", overrides=(f"{key}=./other_{place}:{name}",))
    assert len(list(tmp_path.iterdir())) == len(before)
