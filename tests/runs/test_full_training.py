"""Full training: whole, cut off and resumed, refused, and reported once from policies of the calibration split."""

import json
import math
import shutil
import socket
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

import eenas
import eenas.runs.before_training as before_training
import eenas.runs.full_training as full_training
import eenas.runs.searched_study as searched_study
import eenas.study.trials.design_training as design_training
from eenas.errors import ExportError, PolicyError, SpecError, StorageError, StudyError
from eenas.networks.checkpoint import load_weights
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.policies.operating_point import evaluate
from eenas.policies.temperatures import fit_temperatures
from eenas.progress import Notice, notify
from eenas.records.database import Database
from eenas.reporting.facts.run_facts import run_summary
from eenas.results.choice import Choice, Chosen
from eenas.results.read import study_record
from eenas.runs.run_baselines import rivals
from eenas.runs.run_report import CHECKPOINT, DESIGN, REPORT, WEIGHTS, RunReport, worse_words
from eenas.study.context.bank import Bank
from eenas.study.rivals.offered_points import points_of
from eenas.study.settings.limits import Limits
from eenas.tasks.images.image_input import image_input
from eenas.tasks.split import Split
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.process_group import ProcessGroup
from tests.processes import Program
from tests.smallest_study import Killed, backbone, kill_in

from ..fuzzing import check_one_line, examples, mutated_table


def weights(folder):
    return load_file(folder / WEIGHTS)


def same_weights(one, other):
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def facts(report):
    """What must not depend on when or how often a run was cut off: times are left out."""
    every = (*report.points, report.reported)
    points = [replace(p, expected={"macs": p.expected["macs"]}, worst={"macs": p.worst["macs"]}) for p in every]
    return points, [exit_.accuracy for exit_ in report.exits], report.comparisons, report.samples


def test_a_run_says_everything_once(smallest_study, finished_run):
    report = finished_run
    trial = next(t for t in smallest_study.results.trials if t.number == smallest_study.trial)
    assert report.design.digest == trial.design.digest
    assert report.estimate == trial.chosen
    assert [exit_.name for exit_ in report.exits] == [*(p.cut_point for p in trial.design.branches), "final"]
    assert sum(exit_.share for exit_ in report.exits) == pytest.approx(1)
    assert report.test_samples == len(smallest_task().test)
    assert report.samples == 240
    assert report.seconds > 0
    assert report.end_to_end_ms > 0
    for exit_ in report.exits:
        assert exit_.end_to_end.median_ms > 0
        assert (exit_.end_to_end.batch, exit_.end_to_end.threads, exit_.end_to_end.dtype) == (1, 1, "float32")
    assert not (report.folder / CHECKPOINT).exists()
    assert set(report.at_shares) == {0.25, 0.5, 0.75, 1.0}


def test_the_baselines_are_the_backbone_static_networks_and_hand_placement(finished_run):
    names = [baseline.name for baseline in finished_run.baselines]
    assert names[0] == "backbone"
    assert names[-1].startswith("uniform")
    static = [baseline for baseline in finished_run.baselines if baseline.name.startswith("static")]
    assert static
    for baseline in static:
        (point,) = baseline.points
        assert point.shares == (1.0,)
        assert point.expected["macs"] == point.worst["macs"] < finished_run.backbone.macs
        assert set(finished_run.baselines_at_shares) >= {baseline.name, "backbone"}, "every rival is shown"
    (plain,) = finished_run.baselines[0].points
    assert plain.expected["macs"] == finished_run.backbone.macs
    assert plain.accuracy == finished_run.backbone.accuracy


def test_comparisons_have_intervals(finished_run):
    assert finished_run.comparisons
    for found in finished_run.comparisons:
        own = finished_run.at_shares[found.budget].accuracy
        other = finished_run.baselines_at_shares[found.baseline][found.budget].accuracy
        assert found.difference == pytest.approx(own - other)
        assert -1 <= found.low <= found.difference <= found.high <= 1


def test_a_guarantee_is_fitted_to_the_trained_weights_and_kept(smallest_study, finished_run, tmp_path, monkeypatch):
    run = shutil.copytree(finished_run.folder, tmp_path / "run")
    monkeypatch.setattr(design_training, "train", lambda *a, **o: pytest.fail("trained again"), raising=False)
    choice = Choice(network=f"trial {smallest_study.trial}", max_accuracy_drop=0.2, confidence=0.8)
    report = smallest_study.train(run, choice=choice)
    guarantee = report.reported.guarantee
    assert (guarantee.max_risk, guarantee.confidence, guarantee.samples) == (0.2, 0.8, 32)
    assert weights(run).keys() == weights(finished_run.folder).keys()
    assert same_weights(run, finished_run.folder)
    assert RunReport.read(run) == report
    assert guarantee.sentence() in run_summary(report)
    assert smallest_study.train(run, choice=choice) == report
    assert smallest_study.train(run) == report  # it asks for no guarantee, and the run has one
    out = eenas.export(tmp_path / "out", run=run, backbone=backbone())
    assert eenas.load(out, backbone=backbone()).guarantee == guarantee
    assert "With 80 % probability" in (out / "README.md").read_text()


def test_a_guarantee_that_cannot_be_given_is_refused_before_training(smallest_study, tmp_path):
    name = f"trial {smallest_study.trial}"
    with pytest.raises(PolicyError, match=r"0.01 with 95 % confidence needs at least 374 .* samples, got 40"):
        smallest_study.train(tmp_path / "a", choice=Choice(network=name, confidence=0.95))
    limits = Limits(max_worst_macs=1.5)
    with pytest.raises(StudyError, match="a worst-case limit may end the network before its final exit"):
        smallest_study.train(tmp_path / "b", choice=Choice(network=name, confidence=0.95, limits=limits))
    static = next(each.name for each in smallest_study.results.networks if each.name.startswith("static"))
    with pytest.raises(StudyError, match="has a single exit, so there is no loss against a final exit to certify"):
        smallest_study.train(tmp_path / "c", choice=Choice(network=static, confidence=0.95))
    with pytest.raises(PolicyError, match="confidence must be a number between 0 and 1, both excluded, got 95"):
        Choice(confidence=95)
    assert not list(tmp_path.iterdir())


def test_the_report_round_trips(finished_run):
    assert RunReport.read(finished_run.folder) == finished_run
    before = (finished_run.folder / REPORT).read_bytes()
    RunReport.read(finished_run.folder).save()
    assert (finished_run.folder / REPORT).read_bytes() == before


def test_a_limit_on_what_was_not_recorded_is_kept_with_the_run(finished_run, tmp_path):
    unknown = replace(finished_run, folder=tmp_path, parameters=None).with_limits(Limits(max_parameters=1000), None)
    assert unknown.violations == {"max_parameters": math.inf}
    unknown.save()
    assert RunReport.read(tmp_path) == unknown
    table = json.loads((tmp_path / REPORT).read_text(), parse_constant=pytest.fail)
    assert table["violations"] == {"max_parameters": None}


def test_a_damaged_report_is_made_again_of_the_weights(smallest_study, finished_run, tmp_path, monkeypatch):
    run = shutil.copytree(finished_run.folder, tmp_path / "run")
    (run / REPORT).write_text("{}")
    options = {"compare": True, "overrides": ("baselines.static=3",)}
    with pytest.raises(ExportError, match="delete it and rerun `eenas train`"):
        smallest_study.train(run, **options)
    (run / REPORT).unlink()
    monkeypatch.setattr(design_training, "train_network", None)
    assert facts(smallest_study.train(run, **options)) == facts(finished_run)


def test_a_finished_run_is_given_back_and_not_trained_again(smallest_study, finished_run, monkeypatch):
    heard = []
    monkeypatch.setattr(searched_study, "make_context", None)
    assert smallest_study.train(finished_run.folder, listener=heard.append) == finished_run
    assert any(isinstance(event, Notice) and "already finished" in event.text for event in heard)


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_one_speaks(smallest_study, tmp_path, monkeypatch, rank):
    @contextmanager
    def group(backend):
        yield ProcessGroup(rank=rank, size=2)

    @contextmanager
    def place(storage, artifacts, **options):
        notify("kept for this command only")
        raise StudyError("enough")
        yield

    monkeypatch.setattr(full_training, "open_process_group", group)
    monkeypatch.setattr(full_training, "writable_storage", place)
    heard = []
    with pytest.raises(StudyError, match="enough"):
        smallest_study.train(tmp_path / "run", listener=heard.append)
    assert len(heard) == (1 if rank == 0 else 0)


@pytest.mark.parametrize("phase", ["training", "training static"])
def test_a_run_that_was_killed_goes_on_to_the_same_report(smallest_study, tmp_path, phase):
    options = {"compare": True, "overrides": ("baselines.static=1",)}
    if phase != "training":
        phase = f"training {rivals(smallest_study.results, 1)[0].name}"
    listen = kill_in(phase, after=30)
    with pytest.raises(Killed):
        smallest_study.train(tmp_path / "cut", listener=listen, **options)
    assert not (tmp_path / "cut" / REPORT).exists()
    assert list((tmp_path / "cut").rglob(CHECKPOINT))
    heard = []
    resumed = smallest_study.train(tmp_path / "cut", listener=heard.append, **options)
    assert any(isinstance(event, Notice) and "resuming from" in event.text for event in heard)
    whole = smallest_study.train(tmp_path / "whole", **options)
    assert facts(resumed) == facts(whole)
    for path in (tmp_path / "whole").rglob(WEIGHTS):
        assert same_weights(path.parent, tmp_path / "cut" / path.parent.relative_to(tmp_path / "whole"))
    assert resumed.samples == 240  # also where the design was trained before the kill
    assert resumed.seconds > 0


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_run_that_was_cut_off_after_so_many_files_goes_on(smallest_study, tmp_path, cut_off_after, written):
    options = {"overrides": ("full_training.samples=32",)}
    with cut_off_after(written):
        smallest_study.train(tmp_path / "run", **options)
    assert len([path for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")]) == written
    assert smallest_study.train(tmp_path / "run", **options).samples == 32


def test_where_training_makes_it_worse_what_the_search_knew_is_kept(smallest_study, tmp_path, monkeypatch):
    spoil, heard = [], []
    real = design_training.train_network

    def train_network(network, *arguments, **options):
        report = real(network, *arguments, **options)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(-1.0 if spoil else 1.0)
        return report

    monkeypatch.setattr(design_training, "train_network", train_network)
    good = smallest_study.train(tmp_path / "good")
    assert good.worse is None
    spoil.append(True)
    report = smallest_study.train(tmp_path / "bad", listener=heard.append)
    worse = report.worse
    assert worse.difference < worse.high < 0
    assert worse.baseline == before_training.BANKED
    assert worse.budget == report.design.policy.target_macs
    said = [event.text for event in heard if isinstance(event, Notice) and "made it worse" in event.text]
    assert len(said) == 1
    assert f"{-100 * worse.difference:.1f} points below the network before full training" in said[0]
    assert worse_words(worse) in "\n".join(run_summary(report))
    assert worse_words(worse) not in "\n".join(run_summary(good))

    study = next(iter(kept_contexts(smallest_study, monkeypatch, tmp_path / "again")))
    network = study.build(report.design)
    Bank(study).inherit(network)
    kept = network.state_dict()
    assert all(torch.equal(value, kept[key].cpu()) for key, value in weights(report.folder).items())
    (report.folder / REPORT).unlink()
    monkeypatch.setattr(design_training, "train_network", None)
    assert smallest_study.train(report.folder).worse == worse, "the folder says it, too"


def kept_contexts(study, monkeypatch, folder):
    """The study contexts that a training was done in."""
    found = []
    real = full_training.train_fully

    def keep(design, context, **options):
        found.append(context)
        return real(design, context, **options)

    with monkeypatch.context() as patch:
        patch.setattr(full_training, "train_fully", keep)
        study.train(folder)
    return found


def test_what_the_bank_does_not_hold_is_no_rival_of_the_trained_network(smallest_study, tmp_path, monkeypatch):
    (context,) = kept_contexts(smallest_study, monkeypatch, tmp_path / "run")
    design = next(t for t in smallest_study.results.trials if t.number == smallest_study.trial).design
    network = context.build(design)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    monkeypatch.setattr(before_training.Bank, "holds", lambda self, placed: False)
    assert before_training.keep_better(network, context) is None
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_rivals_are_trained_on_request_alone_and_afterwards_too(smallest_study, tmp_path):
    alone = smallest_study.train(tmp_path / "run", overrides=("full_training.samples=32",))
    assert [baseline.name for baseline in alone.baselines] == ["backbone"]
    assert not (tmp_path / "run" / "baselines").exists()
    options = {"compare": True, "overrides": ("full_training.samples=32", "baselines.static=1")}
    beside = smallest_study.train(tmp_path / "run", **options)
    assert len(beside.baselines) == 3
    assert beside.exits[0].accuracy == alone.exits[0].accuracy
    assert smallest_study.train(tmp_path / "run", **options) == beside


def test_limits_are_checked_on_the_test_split(smallest_study, tmp_path):
    choice = Choice(network=f"trial {smallest_study.trial}", limits=Limits(min_accuracy=0.01, max_branches=9))
    report = smallest_study.train(tmp_path / "run", choice=choice, overrides=("full_training.samples=32",))
    assert report.violations["min_accuracy"] == pytest.approx(0.01 - report.reported.accuracy)
    assert report.violations["max_branches"] == len(report.design.branches) - 9
    assert report.limits == choice.limits
    assert RunReport.read(tmp_path / "run") == report


def test_a_static_network_is_trained_exported_and_answers_alike(smallest_study, tmp_path):
    name = next(network.name for network in smallest_study.results.networks if network.kind == "static")
    options = {"choice": Choice(network=name), "overrides": ("full_training.samples=64",)}
    report = smallest_study.train(tmp_path / "run", **options)
    assert report.design.static
    assert len(report.exits) == 1
    assert report.exits[0].share == 1
    folder = eenas.export(
        tmp_path / "model", run=tmp_path / "run", backbone=backbone(), format="pt2", data=smallest_task()
    )
    network = eenas.load(folder, backbone=backbone())
    model = eenas.runtime.load(folder, trust_code=True)
    images = np.random.default_rng(0).integers(256, size=(5, 3, 8, 8), dtype=np.uint8)
    ours, theirs = network.predict(network.transform(torch.from_numpy(images))), model.predict(images)
    assert model.exits == network.exits == (report.exits[0].name,)
    np.testing.assert_allclose(ours.logits.numpy(), theirs.logits, atol=1e-4)


def test_a_network_that_ends_at_a_branch_is_trained_and_read_although_the_search_saw_all_its_exits(
    smallest_study, tmp_path
):
    results = smallest_study.results
    points = [item for network in results.networks for item in points_of(network, results.backbone)]
    ended = next(item for item in points if item.label != item.name)
    options = {"choice": Choice(network=ended.label), "overrides": ("full_training.samples=64",)}
    report = smallest_study.train(tmp_path / "run", **options)
    assert report.design.branches == ended.network.branches
    assert report.design.static
    assert report.estimate.policy.num_exits == len(ended.design.exits) > len(report.exits) == 1
    assert RunReport.read(tmp_path / "run") == report


def test_a_run_does_not_go_on_with_another_budget(smallest_study, tmp_path):
    with pytest.raises(Killed):
        smallest_study.train(tmp_path / "run", listener=kill_in("training", after=20))
    with pytest.raises(StudyError, match=r"started with full_training.epochs = 1.0, but now it is 3.0"):
        smallest_study.train(tmp_path / "run", overrides=("full_training.epochs=3",))
    assert (tmp_path / "run" / CHECKPOINT).exists()
    smallest_study.train(tmp_path / "run")


def test_a_broken_checkpoint_is_named(smallest_study, tmp_path):
    with pytest.raises(Killed):
        smallest_study.train(tmp_path / "run", listener=kill_in("training", after=20))
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"nonsense")
    with pytest.raises(StorageError, match=r"checkpoint.pt: not an eenas checkpoint .*delete it") as error:
        smallest_study.train(tmp_path / "run")
    assert "\n" not in str(error.value)


def test_operating_points_of_one_network_have_folders_of_their_own(smallest_study, finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    design = finished_run.design
    other = replace(design, policy=replace(design.policy, target_macs=0.9))
    record = study_record(Database(smallest_study.storage), None)
    name = f"{record.name}-trial{smallest_study.trial}"

    def folder_of(chosen):
        return full_training._default_folder(
            record, Chosen(chosen, f"trial {smallest_study.trial}", None), trust_code=False
        )

    assert folder_of(design) == folder_of(other) == Path("runs") / name
    (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / name / DESIGN).write_text(design.to_json())
    assert folder_of(design) == Path("runs") / name, "what was begun goes on"
    own = folder_of(other)
    assert own == Path("runs") / f"{name}-{other.digest[:6]}"
    own.mkdir()
    (own / DESIGN).write_text(other.to_json())
    (Path("runs") / name / DESIGN).unlink()
    assert folder_of(other) == own
    (Path("runs") / name / DESIGN).write_text("nonsense")
    assert folder_of(design) == Path("runs") / name, "which is refused where it is claimed"


def test_a_trial_that_was_stopped_is_said(smallest_study):
    results = smallest_study.results
    trial = replace(results.trials[0], state="stopped", samples=64, reason="too slow")
    chosen = Chosen(trial.design, f"trial {trial.number}", None)
    said = full_training._stopped_notice(replace(results, trials=(trial,)), chosen)
    assert (
        said.text
        == f"trial {trial.number} was stopped in the search after 64 samples (too slow); it is trained fully now"
    )
    assert full_training._stopped_notice(replace(results, trials=(replace(trial, state="complete"),)), chosen) is None
    assert full_training._stopped_notice(results, replace(chosen, name="frozen 1")) is None


def test_folders_of_something_else_are_refused(smallest_study, finished_run, tmp_path):
    other = Choice(network="trial 1")
    with pytest.raises(StudyError, match="another design; give another --out"):
        smallest_study.train(finished_run.folder, choice=other)
    target = replace(finished_run.design, policy=replace(finished_run.design.policy, target_macs=0.9))
    (tmp_path / "target.json").write_text(target.to_json())
    with pytest.raises(StudyError, match=r"another design \(there for 50.0 % of the MACs, here for 90.0 %\)"):
        smallest_study.train(finished_run.folder, choice=Choice(design_file=tmp_path / "target.json"))
    with pytest.raises(Killed):
        smallest_study.train(tmp_path / "begun", listener=kill_in("training", after=20))
    with pytest.raises(StudyError, match="another design"):
        smallest_study.train(tmp_path / "begun", choice=other)
    (tmp_path / "begun" / "study.json").write_text('{"study": "other", "identity": "0"}')
    with pytest.raises(StudyError, match="another study"):
        smallest_study.train(tmp_path / "begun")
    (tmp_path / "begun" / DESIGN).write_text("nonsense")
    with pytest.raises(StudyError, match="not a run of eenas"):
        smallest_study.train(tmp_path / "begun")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(StudyError, match="not a run of eenas; give a new or empty folder"):
        smallest_study.train(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_changed_data_and_backbones_are_named_before_anything_is_trained(smallest_study, tmp_path):
    with pytest.raises(StudyError, match=r"the data of the study .* changed \(.*results do not hold"):
        smallest_study.train(tmp_path / "run", task=smallest_task(seed=1))
    other = smallest_backbone()
    other[0][0] = nn.Conv2d(3, 8, 5, 1, 2, bias=False)
    with pytest.raises(StudyError, match=r"the backbone \(its code or initial weights\) changed since"):
        smallest_study.train(tmp_path / "run", backbone=other)
    with pytest.raises(StudyError, match=r"searched with a module \(Sequential\); give the module again"):
        smallest_study.train(tmp_path / "run", backbone=None)
    assert not (tmp_path / "run" / WEIGHTS).exists()


def test_only_full_training_and_baselines_can_be_changed(smallest_study, tmp_path):
    for assignment in ("training.epochs=9", "seed=3", "full_training=3"):
        with pytest.raises(StudyError, match=r"only full_training\.\*, baselines\.\* and experts\.\*"):
            smallest_study.train(tmp_path / "run", overrides=(assignment,))
    with pytest.raises(SpecError, match=r"full_training.epoch.*nearest: 'epochs'"):
        smallest_study.train(tmp_path / "run", overrides=("full_training.epoch=9",))
    assert not (tmp_path / "run").exists()


def test_a_budget_in_another_unit_takes_the_place_of_the_old_one(smallest_study, tmp_path):
    report = smallest_study.train(tmp_path / "run", overrides=("full_training.samples=32",))
    assert report.samples == 32


def test_full_training_may_state_its_precision(smallest_study, tmp_path):
    smallest_study.train(tmp_path / "plain", overrides=("full_training.samples=32",))
    coarse = ("full_training.samples=32", "full_training.precision=bfloat16")
    smallest_study.train(tmp_path / "coarse", overrides=coarse)
    assert not same_weights(tmp_path / "plain", tmp_path / "coarse")


def test_policies_are_fitted_on_calibration_alone(smallest_study, finished_run, tmp_path):
    """With the labels of the test split permuted every threshold stays, and only accuracies move."""
    task = smallest_task()
    test = task.test
    order = np.random.default_rng(0).permutation(len(test))
    shuffled = Split(test.name, test.source, test.samples, test.labels[order], test.rows)
    twin = replace(task, test=shuffled)  # under the same digest, since it is told by the fields
    assert twin.digest == task.digest
    report = smallest_study.train(tmp_path / "run", task=twin)
    assert same_weights(tmp_path / "run", finished_run.folder)
    assert [p.policy for p in report.points] == [p.policy for p in finished_run.points]
    assert {s: p and p.policy for s, p in report.at_shares.items()} == {
        s: p and p.policy for s, p in finished_run.at_shares.items()
    }
    assert report.reported.policy == finished_run.reported.policy
    assert report.reported.shares == finished_run.reported.shares
    assert report.reported.accuracy < finished_run.reported.accuracy


def test_the_report_is_what_the_weights_do_on_the_test_split(finished_run, tmp_path):
    """Replayed from the folder: temperatures, accuracies and costs of the reported point."""
    folder = eenas.export(tmp_path / "model", run=finished_run.folder, backbone=backbone())
    network = eenas.load(folder, backbone=backbone())
    task = smallest_task()
    columns = {name: [exit_.costs[name] for exit_ in finished_run.exits] for name in ("macs", "latency")}
    tables = [exit_table(network, split, ExitCosts(Costs.of(columns), 0)) for split in (task.calibration, task.test)]
    np.testing.assert_allclose(fit_temperatures(tables[0]), [e.temperature for e in finished_run.exits], rtol=1e-3)
    assert evaluate(finished_run.reported.policy, tables[1]) == finished_run.reported


def test_a_drawn_policy_with_a_threshold_for_each_exit_is_fitted_so(smallest_study, tmp_path, monkeypatch):
    import eenas.policies.fit as fit_module
    from eenas.results.front import SHARES

    calls = []
    real = fit_module.fit_per_exit
    monkeypatch.setattr(fit_module, "fit_per_exit", lambda *a, **k: calls.append(1) or real(*a, **k))
    trial = next(t for t in smallest_study.results.trials if t.number == smallest_study.trial)
    design = replace(trial.design, policy=replace(trial.design.policy, per_exit=True))
    (tmp_path / "design.json").write_text(design.to_json())
    report = smallest_study.train(tmp_path / "run", choice=Choice(design_file=tmp_path / "design.json"))
    with_limits_before = 2
    assert len(calls) == with_limits_before + 1 + len(SHARES)
    assert report.estimate is None
    assert RunReport.read(tmp_path / "run") == report


def test_hand_placement_that_was_chosen_is_trained_once(smallest_study, tmp_path):
    placed = [t for t in smallest_study.results.trials if t.origin.startswith("known: uniform")]
    heard = []
    for trial in placed:
        report = smallest_study.train(
            tmp_path / str(trial.number),
            choice=Choice(network=f"trial {trial.number}"),
            compare=True,
            overrides=("baselines.static=0", "full_training.samples=32"),
            listener=heard.append,
        )
        chosen = trial.origin.removeprefix("known: ") == report.baselines[-1].name
        assert (tmp_path / str(trial.number) / "baselines").exists() != chosen
        if chosen:
            same = [found for found in report.comparisons if found.baseline == report.baselines[-1].name]
            assert {found.difference for found in same} == {0.0}


def test_a_design_of_somewhere_else_is_refused(smallest_study, tmp_path):
    trial = next(t for t in smallest_study.results.trials if t.number == smallest_study.trial)
    placed = replace(trial.design.branches[0], cut_point="9.9")
    for changed, match in (
        ({"backbone": "resnet18"}, "for the backbone resnet18, but the study has module:Sequential"),
        (
            {"inputs": image_input(32)},
            r"for images: uint8 \[channel any, height 32, width 32\], but the study has images",
        ),
        ({"num_classes": 7}, "for the number of classes 7, but the study has 4"),
        ({"branches": (placed,)}, "no cut point '9.9'"),
    ):
        (tmp_path / "design.json").write_text(replace(trial.design, **changed).to_json())
        with pytest.raises(StudyError, match=match):
            smallest_study.train(tmp_path / match[:9], choice=Choice(design_file=tmp_path / "design.json"))


def test_a_report_that_is_not_whole_is_named(finished_run, tmp_path):
    with pytest.raises(ExportError, match="holds no report"):
        RunReport.read(tmp_path)
    whole = json.loads((finished_run.folder / REPORT).read_text())
    for text in ("", "[]", "{}", json.dumps({**whole, "design": {}}), json.dumps({**whole, "reported": 3})):
        (tmp_path / REPORT).write_text(text)
        with pytest.raises(ExportError, match="not a report of eenas"):
            RunReport.read(tmp_path)


def test_weights_of_a_run_fit_the_design(smallest_study, finished_run):
    """The weights in the folder are those of the network that the design builds."""
    from eenas.backbones.load import load_backbone
    from eenas.networks.assembly import build_network

    network = build_network(finished_run.design, load_backbone(backbone(), num_classes=4, input_size=8))
    load_weights(network, finished_run.folder / WEIGHTS)


SCRIPT = """
import sys
from pathlib import Path
import torch
import eenas.runs.before_training as before_training
import eenas.runs.full_training as full_training
import eenas.runs.run_report as run_report
from eenas.records.database import Database
from eenas.results.choice import Choice, Chosen
from eenas.results.read import study_record
from eenas.study.settings.limits import Limits
from eenas.runs.run_baselines import rivals
from eenas.study.rivals.offered_points import points_of
from eenas.testing.smallest import smallest_backbone, smallest_task
storage, trial, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
kept, saves = {}, []
real_build, real_save = full_training.build_report, run_report.RunReport.save
real_train = full_training.train_fully
def keep(*args, **kwargs):
    found = real_train(*args, **kwargs)
    kept.update({key: value.clone() for key, value in found.network.state_dict().items()})
    return found
full_training.train_fully = keep
run_report.RunReport.save = lambda self: saves.append(1) or real_save(self)
torch.manual_seed(0)
report = full_training.train(storage, choice=Choice(network=f"trial {trial}"), out=folder / "run", device="cpu",
    compare=True, backbone=smallest_backbone(), task=smallest_task(), overrides=("baselines.static=1",))
import os
torch.save({"weights": kept, "saves": len(saves), "samples": report.samples}, folder / f"rank{os.environ['RANK']}.pt")
"""


def test_two_processes_end_with_equal_weights_and_report_once(smallest_study, tmp_path):
    """The environment is that of torchrun, with which `tests/training/test_process_group.py` starts its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    arguments = (smallest_study.storage, smallest_study.trial, tmp_path)
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in (0, 1)]
    for process in [Program(SCRIPT, *arguments, **group, **rank) for rank in ranks]:
        process.end()
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert (first["saves"], second["saves"]) == (1, 0)
    assert first["samples"] == second["samples"] > 200
    assert first["weights"].keys() == second["weights"].keys()
    for key, value in first["weights"].items():
        assert torch.equal(value, second["weights"][key]), key
    written = weights(tmp_path / "run")
    assert all(torch.equal(written[key], value) for key, value in first["weights"].items())
    assert RunReport.read(tmp_path / "run").samples == first["samples"]


@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_report_is_read_or_refused_in_one_line(finished_run, tmp_path, data):
    table = json.loads((finished_run.folder / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps(data.draw(mutated_table(table))))
    check_one_line(lambda: RunReport.read(tmp_path))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": ["a", "b"]}, "classes must be 4 names, got 2"),
        ({"exits": []}, "exits must be those of the design"),
        (
            {
                "points": [
                    {
                        "policy": {"kind": "patience", "exits": 1, "patience": 0},
                        "accuracy": 0.5,
                        "expected_macs": 1.0,
                        "worst_macs": 1.0,
                        "shares": [1.0],
                        "exit_accuracy": [0.5],
                    }
                ]
            },
            "a policy must be for",
        ),
        ({"test_samples": "9"}, "test_samples must be a whole number, got 9"),
        ({"study": 3}, "a name must be a text, got 3"),
        ({"seconds": True}, "seconds must be a number"),
    ],
)
def test_a_report_that_contradicts_itself_is_named(finished_run, tmp_path, change, match):
    table = json.loads((finished_run.folder / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**table, **change}))
    with pytest.raises(ExportError, match=f"not a report of eenas .*{match}"):
        RunReport.read(tmp_path)
