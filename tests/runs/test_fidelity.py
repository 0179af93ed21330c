"""Fidelity: the longer training is the trial's but longer, is kept and gone on with, and what is wrong is said."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import eenas.runs.fidelity as fidelity
import eenas.runs.searched_study as searched_study
from eenas.cli.main import app
from eenas.errors import DivergedError, SpecError, StorageError, StudyError
from eenas.networks.tables import exit_table
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.fit import fit_at_shares
from eenas.progress import Notice, Started
from eenas.results.read import SHARES, open_results
from eenas.results.search import search
from eenas.runs.fidelity import measure_fidelity
from eenas.runs.longer_training import Longer
from eenas.runs.network_scores import NetworkScores
from eenas.seeding import derive
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import make_context
from eenas.study.settings.reference import StudyReference
from eenas.tasks.load import load_task
from eenas.testing.smallest import smallest_task
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network
from tests.smallest_study import SETTINGS, Killed, kill_in

HOME = "eenas.testing.smallest"
BRIEF = 0.5  # epochs, as in SETTINGS
LONG = 1.0


@dataclass(frozen=True)
class Studies:
    """Two finished studies in one folder: `bank` and `plain`, which inherits nothing."""

    folder: Path

    @property
    def storage(self):
        return f"sqlite:///{self.folder}/eenas.db"

    def results(self, name="bank"):
        return open_results(self.storage, name, trust_code=True)

    def measure(self, name="bank", **options):
        torch.set_num_threads(1)
        return measure_fidelity(self.storage, name=name, device="cpu", trust_code=True, **options)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    torch.set_num_threads(1)
    made = Studies(tmp_path_factory.mktemp("fidelity"))
    settings = (*SETTINGS, "search.prune=false", "search.sampler=random", "bank.share=0.3")
    for name, trials, more in (("bank", 8, ()), ("plain", 4, ("bank.use=false",))):
        search(
            f"{HOME}:smallest_backbone",
            task=f"{HOME}:smallest_task",
            storage=made.storage,
            name=name,
            device="cpu",
            overrides=(*settings, *more),
            space="small",
            trials=trials,
            trust_code=True,
        )
    return made


@pytest.fixture(scope="module")
def measured(studies):
    return studies.measure(designs=4, epochs=LONG)


@pytest.fixture
def copied(studies, tmp_path):
    """The same studies in a folder that may be changed."""
    shutil.copytree(studies.folder, tmp_path / "copy")
    return Studies(tmp_path / "copy")


def scores(found):
    """What must not depend on when or how often it was cut off."""
    return [replace(each, seconds=0.0) for each in found.networks], found.measures


def notices(heard):
    return [event.text for event in heard if isinstance(event, Notice)]


def trainings(heard):
    return [event.phase for event in heard if isinstance(event, Started) and "longer" in event.phase]


@pytest.mark.parametrize("name", ["bank", "plain"])
def test_with_the_budget_of_the_trials_it_is_what_the_trials_were(studies, name):
    heard = []
    found = studies.measure(name, designs=3, epochs=BRIEF, listener=heard.append)
    assert len(found.networks) == 3
    for network in found.networks:
        assert network.full == network.brief
        assert (network.frozen is None) == (name == "plain")
    for measure in found.measures:
        assert measure.error == measure.absolute_error == 0
        assert measure.brief_full.why or measure.brief_full.tau == pytest.approx(1)
    assert found.measures[-1].brief_full.tau == pytest.approx(1)
    assert any("has 120 samples, but the trials had 120; give it more" in text for text in notices(heard))


def test_a_network_is_trained_and_scored_as_by_hand(studies, measured):
    results = studies.results()
    network = measured.networks[0]
    trial = next(trial for trial in results.trials if trial.number == network.trial)
    task = load_task(results.settings.task, trust_code=True)
    context = prepare_backbone(
        make_context(
            results.settings, StudyReference(storage=studies.storage, task=task, trust_code=True), device="cpu"
        )
    )
    built, costs = context.build(trial.design), context.costs(trial.design)
    Bank(context).inherit(built)
    splits = ("calibration", "validation")
    frozen = [exit_table(built, task.split(split), costs) for split in splits]
    train_network(
        built,
        task,
        TrainingPlan(
            choice=trial.design.training,
            spec=replace(results.settings.training, epochs=LONG),
            costs=costs.costs["macs"].tolist(),
            seed=derive(results.settings.seed, "trial"),
            execution=context.execution,
        ),
    )
    full = [exit_table(built, task.split(split), costs) for split in splits]
    brief = [load_exit_table(context.artifacts.root / trial.artifacts[split].partition("@")[0]) for split in splits]
    for tables, said in ((brief, network.brief), (frozen, network.frozen), (full, network.full)):
        points = fit_at_shares(*tables, results.backbone.macs, SHARES)
        assert said.at_shares == tuple(point and point.accuracy for point in points)
    assert network.samples == LONG * len(task.train)


def test_the_measures_are_those_of_the_networks(measured):
    assert [measure.share for measure in measured.measures] == [*SHARES, None]
    for index, measure in enumerate(measured.measures):

        def value(each, index=index):
            return each.hypervolume if index == len(SHARES) else each.at_shares[index]

        errors = [
            value(network.full) - value(network.brief)
            for network in measured.networks
            if value(network.full) is not None and value(network.brief) is not None
        ]
        assert measure.networks == len(errors)
        assert measure.left_out == len(measured.networks) - len(errors)
        assert measure.error == pytest.approx(sum(errors) / len(errors))
        assert measure.absolute_error == pytest.approx(sum(map(abs, errors)) / len(errors))
        assert measure.brief_full.networks == measure.frozen_full.networks == len(errors)


def test_networks_are_spread_from_worst_to_best_and_each_counts_once(studies, monkeypatch):
    monkeypatch.setattr(fidelity, "train_longer", stand_in())
    heard = []
    every = studies.measure(designs=50, listener=heard.append).networks
    digests = {
        fidelity.network_digest(trial.design)
        for trial in studies.results().trials
        if trial.state == "complete" and trial.design.branches
    }
    assert len(every) == len(digests) >= 5
    assert any(f"has {len(every)} networks trained to the end, not 50; all are used" in text for text in notices(heard))
    order = [network.brief.hypervolume for network in every]
    assert order == sorted(order)
    few = studies.measure(designs=3).networks
    assert [each.trial for each in few] == [every[rank].trial for rank in (0, round((len(every) - 1) / 2), -1)]


def stand_in(diverging=()):
    """A longer training that takes no time; networks at these places of the order diverge."""

    def train(design, context, costs, *, phase, **rest):
        number = int(phase.partition("(")[2].split()[0])
        if number in diverging:
            raise DivergedError("the loss is not finite")
        return Longer(scores=NetworkScores(at_shares=(None, 0.5, 0.6, 0.7), hypervolume=0.1), samples=1, seconds=1.0)

    return train


def test_what_cannot_reach_a_budget_or_diverges_is_left_out_and_counted(studies, monkeypatch):
    monkeypatch.setattr(fidelity, "train_longer", stand_in(diverging=(2,)))
    heard = []
    found = studies.measure(designs=4, listener=heard.append)
    assert len(found.networks) == 3
    assert len(found.diverged) == 1
    assert any(f"trial {found.diverged[0]} is left out: the loss is not finite" in text for text in notices(heard))
    first, last = found.measures[0], found.measures[len(SHARES) - 1]
    assert (first.networks, first.left_out, first.error, first.brief_full.why) == (0, 3, None, "too few")
    assert (last.networks, last.left_out, last.brief_full.why) == (3, 0, "all equal")
    monkeypatch.setattr(fidelity, "train_longer", stand_in(diverging=(2, 3)))
    with pytest.raises(StudyError, match=r"2 of 4 networks diverged in the longer training.*fewer --epochs"):
        studies.measure(designs=4)


def test_cut_off_in_the_second_network_it_goes_on_to_the_same_scores(studies, copied):
    budget = {"designs": 4, "epochs": 1.25}  # nowhere else, so that nothing is kept of it
    whole = studies.measure(**budget)
    phase = f"training trial {whole.networks[1].trial} longer (2 of 4)"
    with pytest.raises(Killed):
        copied.measure(**budget, listener=kill_in(phase, after=40))
    (checkpoint,) = copied.folder.rglob("fidelity-*.checkpoint.pt")
    heard = []
    resumed = copied.measure(**budget, listener=heard.append)
    assert trainings(heard)[0] == phase
    assert len(trainings(heard)) == 3  # the first one was finished
    assert any("resuming from" in text and checkpoint.name in text for text in notices(heard))
    assert scores(resumed) == scores(whole)
    assert not list(copied.folder.rglob("*.checkpoint.pt"))
    heard.clear()
    assert copied.measure(**budget, listener=heard.append) == resumed
    assert trainings(heard) == []


def test_an_integer_is_the_same_budget(studies, measured):
    heard = []
    assert studies.measure(designs=4, epochs=int(LONG), listener=heard.append) == measured
    assert trainings(heard) == []


def test_another_way_to_train_is_another_result(studies, measured):
    heard = []
    found = studies.measure(
        designs=3, samples=48, overrides=("training.batch_size=8", "training.precision=float32"), listener=heard.append
    )
    assert len(trainings(heard)) == 3
    assert (found.full_training.batch_size, found.full_training.samples) == (8, 48)
    assert found.full_training.epochs is None
    assert {network.samples for network in found.networks} == {48}
    assert found.brief_training == measured.brief_training


def test_exit_tables_that_are_gone_are_said(copied, monkeypatch):
    monkeypatch.setattr(fidelity, "train_longer", stand_in())
    before = copied.measure(designs=50).networks
    lost = next(trial for trial in copied.results().trials if trial.number == before[0].trial)
    table = copied.folder / "eenas.artifacts" / lost.artifacts["validation"].partition("@")[0]
    table.write_bytes(table.read_bytes()[:100])
    heard = []
    after = copied.measure(designs=50, listener=heard.append).networks
    assert [each.trial for each in after] == [each.trial for each in before[1:]]
    assert any(
        f"left out: exit tables of trials [{lost.number}] are missing or damaged" in text for text in notices(heard)
    )
    elsewhere = copied.folder / "elsewhere"
    with pytest.raises(StorageError, match="these are not the artifacts of the study 'bank'") as refused:
        copied.measure(artifacts=elsewhere)
    elsewhere.mkdir(exist_ok=True)
    Path(str(refused.value).partition("create the empty file ")[2].partition(",")[0]).touch()
    with pytest.raises(StudyError, match=r"are missing or damaged in .*; check --artifacts"):
        copied.measure(artifacts=elsewhere)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "bnak"}, "has no study 'bnak'; nearest: 'bank'"),
        ({"epochs": 0}, "must be positive, got epochs=0; the default is epochs=10"),
        ({"epochs": float("nan")}, "must be positive, got epochs=nan"),
        ({"samples": -3}, "must be positive, got samples=-3"),
        ({"epochs": 2, "samples": 3}, "got 2 epochs and 3 samples; give one"),
        ({"designs": 2}, "designs must be at least 3 .*got 2"),
        ({"overrides": ("seed=3",)}, r"--set seed=3: only training\.\* of the longer training"),
        ({"overrides": ("training=3",)}, r"only training\.\*"),
        ({"overrides": ("training.epochs=3",)}, "set the budget of the longer training by --epochs or --samples"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(studies, monkeypatch, options, said):
    monkeypatch.setattr(searched_study, "make_context", None)
    with pytest.raises(StudyError, match=said) as error:
        studies.measure(**options)
    assert "\n" not in str(error.value)


def test_an_unknown_key_is_named(studies):
    with pytest.raises(SpecError, match=r"training\.warm.*nearest: 'warmup'"):
        studies.measure(overrides=("training.warm=0.2",))


def test_a_study_with_too_few_networks_is_refused(studies, monkeypatch):
    results = studies.results()
    monkeypatch.setattr(searched_study, "make_context", None)
    monkeypatch.setattr(fidelity, "read_results", lambda *a, **o: replace(results, trials=results.trials[:2]))
    with pytest.raises(StudyError, match=r"'bank': .* at least 3 networks .*, got 2; run `eenas search`"):
        studies.measure()


def test_a_changed_task_is_refused(studies):
    with pytest.raises(StudyError, match=r"the data of the study 'bank' changed \(train source: 400 changed"):
        studies.measure(task=smallest_task(seed=1))


def test_the_command_prints_what_the_function_finds(studies, measured):
    flags = ["--storage", studies.storage, "--name", "bank", "--designs", "4", "--epochs", str(LONG)]
    asked = ["study", "fidelity", *flags, "--device", "cpu", "--trust-code"]
    answer = CliRunner().invoke(app, [*asked, "--json"], prog_name="eenas")
    assert answer.exit_code == 0, answer.stderr
    table = json.loads(answer.stdout)
    assert [each["trial"] for each in table["networks"]] == [each.trial for each in measured.networks]
    for each, own in zip(table["networks"], measured.networks, strict=True):
        assert each["full"]["hypervolume"] == own.full.hypervolume
        assert list(each["full"]["at_shares"].values()) == list(own.full.at_shares)
    assert [each["brief_full"]["tau"] for each in table["measures"]] == [m.brief_full.tau for m in measured.measures]
    drawn = CliRunner().invoke(app, asked, prog_name="eenas").stdout
    assert "hypervolume" in drawn
    assert max(map(len, drawn.splitlines())) <= 100
    bad = CliRunner().invoke(app, [*asked, "--epochs", "0"], prog_name="eenas")
    assert bad.exit_code == 2
    assert bad.stderr.startswith("error: the budget must be positive")
    assert np.isfinite([each["error"] for each in table["measures"] if each["error"] is not None]).all()
