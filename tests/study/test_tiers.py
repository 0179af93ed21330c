"""A study with tiers, from its file to the manifest: each operating point has the split of brute force."""

import json
from dataclasses import replace

import numpy as np
import pytest

from eenas.branches.pool_fc import PoolFc
from eenas.deployment.calibration import calibrate
from eenas.deployment.export import export
from eenas.designs.design import Placed
from eenas.errors import MeasurementError, SpecError, StudyError
from eenas.handle.tiered_source import TieredSource
from eenas.measurement.tiers.tier_costs import UNITS, TieredNetwork, tier_costs
from eenas.measurement.tiers.tier_sources import MeasuredNetwork, read_source, tier_times
from eenas.networks.assembly import build_network
from eenas.networks.tiered_costs import input_bytes, sends_logits
from eenas.policies.costs import ALONE
from eenas.policies.exit_table_file import load_exit_table
from eenas.programs.budget import within_budget
from eenas.programs.manifest import read_manifest
from eenas.records.artifacts import ArtifactStore
from eenas.records.learning_curves import LearningCurves
from eenas.reporting.facts.front_table import front_rows, to_csv, to_table
from eenas.reporting.facts.run_facts import run_summary
from eenas.reporting.facts.tiers.tier_facts import read_sources
from eenas.results.choice import Choice, Chosen, choose_design
from eenas.results.read import open_results
from eenas.results.rows import point_rows
from eenas.runs.codecs import codec_choice
from eenas.runs.run_report import RunReport
from eenas.study.settings.limits import Limits
from eenas.study.settings.study_spec import StudySpec, load_settings
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.trial import run_trial
from eenas.testing.smallest import smallest_task
from eenas.tier_names import SPLIT_COSTS
from tests.smallest_study import SETTINGS, SmallestStudy, backbone, run_search, study_context, url
from tests.token_sets import token_net, token_task

STUDY = """
[backbone]
name = "-"
[search]
objectives = ["accuracy", "tier_latency"]
[constraints]
max_bytes_sent = 600
[tiers.edge]
file = "edge.toml"
watts = 3.0
[tiers.edge.link]
mbit = 2.0
round_trip_ms = 9.0
overhead_bytes = 100
[tiers.cloud]
file = "cloud.toml"
"""
EDGE = {"0": 1.0, "1": 2.5, "2": 6.0, "3": 9.0, "final": 10.0}


def write_study(folder, text=STUDY):
    for name, factor in (("edge", 1.0), ("cloud", 0.02)):
        lines = (f'"{point}" = {factor * ms}' for point, ms in EDGE.items())
        (folder / f"{name}.toml").write_text("\n".join(lines))
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    return SmallestStudy(folder, run_search(folder, study=write_study(folder), trials=3))


@pytest.fixture(scope="module")
def run(study):
    return study.train(study.folder / "run")


def brute_force(splits, leaving, reachable):
    """Return the split with the lowest mean latency among those within the limit on bytes, and its costs."""
    latency, sent = splits.names.index("tier_latency"), splits.names.index("bytes_sent")
    rows = []
    for index, split in enumerate(splits.splits):
        means = {name: np.dot(leaving, splits.values[index, t]) for t, name in enumerate(splits.names)}
        excess = max(means["bytes_sent"] / 600 - 1 - 1e-9, 0.0)
        worst = splits.values[index, :, :reachable].max(axis=1)
        rows.append(
            (excess, round(means["tier_latency"], 9), round(means["bytes_sent"], 9), -index, split, means, worst)
        )
    assert latency != sent
    return min(rows, key=lambda row: row[:4])[4:]


def test_every_stored_point_has_the_best_split(study):
    store, seen, checked = ArtifactStore.beside(study.storage, None), set(), 0
    for network in study.results.networks:
        table = load_exit_table(store.path(network.artifacts["validation"]))
        for point in network.points:
            split, means, worst = brute_force(
                table.costs.splits, np.array(point.shares), point.policy.last_reachable + 1
            )
            assert point.split == split
            assert {name: point.expected[name] for name in means} == pytest.approx(means)
            assert [point.worst[name] for name in means] == pytest.approx(worst.tolist())
            seen.add(split)
            checked += 1
    assert checked > 10
    assert len(seen) > 1, "the study has one best split only: nothing is compared"


def test_a_network_read_back_with_the_tiers_of_its_study_has_the_stored_costs(study):
    """What `eenas tiers STUDY` composes of the recorded profile and latencies, against the costs of the search."""
    network = next(each for each in study.results.networks if each.name == f"trial {study.trial}")
    splits = load_exit_table(
        ArtifactStore.beside(study.storage, None).path(network.artifacts["validation"])
    ).costs.splits
    subject = TieredSource(storage=study.storage, network=network.name).read(study.results.name)
    assert subject.tiers == study.results.settings.tiers
    costs = subject.costs(subject.tiers, read_sources(subject.tiers, subject.folder))
    assert costs.names == splits.names
    for index, split in enumerate(splits.splits):
        for column, name in enumerate(splits.names):
            assert costs.columns(split)[name] == pytest.approx(splits.values[index, column], rel=1e-6)


def test_the_costs_of_tiers_are_costs_of_the_study(study):
    results = study.results
    assert results.cost_names == ("macs", "latency", "tier_latency", "bytes_sent", "tier_energy")
    assert results.cheaper_by == "tier_latency"
    assert results.units["tier_latency"] == "ms"
    assert results.hypervolumes["tier_latency"] > 0
    assert all(item.point.expected["bytes_sent"] <= 600 for item in results.front)
    rows = point_rows(results)
    assert all(isinstance(row["split"], str) for row in rows)
    assert all(row["expected_tier_latency"] > 0 for row in rows)
    assert all("split" in row for row in to_table(results)["front"])
    assert "split" in to_csv(front_rows(results)).splitlines()[0].split(",")
    trial = results.trials[0]
    assert trial.values == (trial.chosen.accuracy, trial.chosen.expected["tier_latency"])


def test_points_within_a_limit_on_a_cost_of_tiers_are_chosen(study):
    values = sorted(item.point.expected["tier_latency"] for item in study.results.front)
    chosen = choose_design(study.results, Choice(limits=Limits(max_tier_latency=values[-1])))
    assert chosen.point.expected["tier_latency"] <= values[-1]
    assert chosen.point.split is not None


def test_the_plain_backbone_has_its_best_split(study):
    plain = next(network for network in study.results.networks if network.kind == "plain")
    (point,) = plain.points
    table = load_exit_table(ArtifactStore.beside(study.storage, None).path(plain.artifacts["validation"]))
    assert point.split == table.costs.best_split(ALONE)
    assert point.split in ("", "final"), "no feature of this backbone is smaller than its input"
    assert study.results.backbone.costs["tier_latency"] == pytest.approx(point.expected["tier_latency"])


def test_the_command_for_tiers_has_the_same_costs(study):
    tiers = study.results.settings.tiers
    sources = tuple(read_source(tier, study.folder) for tier in tiers.tiers)
    for name in {item.name for item in study.results.front}:
        item = choose_design(study.results, Choice(network=name)).estimate
        subject = TieredSource(storage=study.storage, network=name).read(study.results.name)
        columns = subject.costs(tiers, sources).columns(item.point.split)
        for cost, column in columns.items():
            mean = float(np.dot(column, item.point.shares[: len(column)]))
            assert mean == pytest.approx(item.point.expected[cost], rel=0.02), (name, cost)


def test_names_of_costs_are_those_of_the_measurement():
    assert tuple(UNITS) == SPLIT_COSTS


def test_a_study_is_read_and_continued_as_written(study):
    again = open_results(study.storage)
    assert again.settings.tiers == study.results.settings.tiers
    assert StudySpec.from_table(again.settings.to_table()) == again.settings
    more = run_search(study.folder, study=study.folder / "study.toml", trials=4)
    assert more.name == study.results.name
    assert len(more.trials) == 4


def test_a_changed_table_is_another_study(study):
    path = study.folder / "edge.toml"
    text = path.read_text()
    path.write_text(text.replace("10.0", "11.0"))
    with pytest.raises(StudyError, match="the file with the times of a tier"):
        run_search(study.folder, study=study.folder / "study.toml", trials=4, name=study.results.name)
    path.write_text(text)


def test_a_run_and_its_export_have_the_split(study, run):
    assert run.reported.split is not None
    assert RunReport.read(run.folder).reported == run.reported
    assert {each.name for each in run.costs} >= {"tier_latency", "bytes_sent", "tier_energy"}
    mean = sum(exit_.share * exit_.costs["tier_latency"] for exit_ in run.exits)
    assert run.reported.expected["tier_latency"] == pytest.approx(mean)
    folder = export(study.folder / "model", run=run.folder, backbone=backbone())
    table = json.loads((folder / "eenas.json").read_text())
    assert table["measured"]["reported"]["split"] == run.reported.split
    assert all("split" in point for point in table["measured"]["points"])
    manifest = read_manifest(folder, programs=False)
    assert manifest.best_split == run.reported.split
    assert all(point.split is not None for point in manifest.points)
    assert "Best split between the tiers" in (folder / "README.md").read_text()
    point = within_budget(read_manifest(folder, programs=False), None, {"tier_latency": 1e6})
    assert point.expected["tier_latency"] <= 1e6
    calibrate(folder, smallest_task(1), max_accuracy_drop=0.05, backbone=backbone())
    assert json.loads((folder / "eenas.json").read_text())["measured"]["reported"]["split"] == run.reported.split


def test_a_codec_is_measured_at_the_split_and_replaced_if_it_loses(study, tmp_path, monkeypatch):
    wanted = ["tiers.edge.link.codec=int8", "tiers.edge.link.round_trip_ms=1", "tiers.edge.link.mbit=50"]
    folder = tmp_path / "coded"
    folder.mkdir()
    found = run_search(folder, study=write_study(folder), trials=1, overrides=[*SETTINGS, *wanted])
    coded = SmallestStudy(folder, found)
    heard = []
    report = coded.train(tmp_path / "run", listener=heard.append)
    assert report.codec.stated == ("int8",)
    assert report.codec.loss <= codec_choice.ACCEPTED_LOSS
    assert RunReport.read(report.folder).codec == report.codec
    assert any("Features that cross a link are sent as" in line for line in run_summary(report))
    assert coded.train(tmp_path / "again").codec == report.codec
    model = export(tmp_path / "model", run=report.folder, backbone=backbone())
    assert json.loads((model / "eenas.json").read_text())["measured"]["codec"]["codecs"] == list(report.codec.codecs)
    monkeypatch.setattr(codec_choice, "ACCEPTED_LOSS", -1.0)
    strict = coded.train(tmp_path / "strict", listener=heard.append)
    assert strict.codec.codecs == ("float32",)
    assert strict.codec.loss == 0
    assert strict.codec.codec_accuracy == strict.reported.accuracy
    assert any("larger ones are tried" in str(event) for event in heard)


def test_the_shipped_study_runs(tmp_path):
    wanted = [*SETTINGS, "search.prune=false", "bank.branches=2"]
    results = run_search(tmp_path, study="edge_cloud", trials=1, overrides=wanted)
    assert results.cost_names == ("macs", "latency", "tier_latency", "bytes_sent", "tier_energy")
    assert results.settings.tiers.names == ("edge", "cloud")
    assert all(point.split is not None for network in results.networks for point in network.points)


def test_a_limit_of_the_choice_counts_for_the_split_of_the_run(study, tmp_path):
    choice = Choice(network=f"trial {study.trial}", limits=Limits(max_worst_bytes_sent=1.0))
    report = study.train(tmp_path / "run", choice=choice)
    assert report.reported.expected["bytes_sent"] == 0
    assert report.reported.split == "final"
    assert report.violations["max_worst_bytes_sent"] <= 0


def test_settings_of_tiers_can_be_overridden(tmp_path):
    path = write_study(tmp_path)
    settings, folder = load_settings(
        path, overrides=["tiers.edge.link.mbit=5", "tiers.edge.file=", "tiers.edge.factor=7"]
    )
    assert settings.tiers.links[0].mbit == 5
    assert settings.tiers.tiers[0].factor == 7
    assert folder == tmp_path
    again, _ = load_settings(settings, overrides=["tiers.edge.link.mbit=6"])
    assert again.tiers.links[0].mbit == 6
    assert again.tiers.names == settings.tiers.names


TIERS = ("tiers.edge.factor=10", "tiers.edge.link.preset=4g", "tiers.cloud.factor=1")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ['search.objectives=["accuracy","tier_latency"]'],
            r"tier_latency needs the machines and the link; add \[tiers",
        ),
        (["constraints.max_bytes_sent=100"], r"a limit on bytes_sent needs the machines and the link"),
        ([*TIERS, "constraints.max_tier_energy=1"], "a limit on tier_energy needs watts of a tier or joules_per_mb"),
        ([*TIERS, 'search.objectives=["accuracy","price"]'], "price needs price_per_gb of a link"),
        ([*TIERS, "costs.bytes_sent.kind=linear", "costs.bytes_sent.macs=1"], r"\[tiers\] has a cost of this name"),
        (["tiers.edge.factor=10"], "must be from 2 to 8 tiers|has no link"),
        ([*TIERS, "tiers.edge.link.mbitt=5"], "mbitt"),
    ],
)
def test_bad_settings_are_refused(overrides, message):
    with pytest.raises(SpecError, match=message):
        load_settings(backbone="-", space="small", overrides=overrides)


def test_limits_and_files_are_checked_on_the_backbone(tmp_path):
    with pytest.raises(SpecError, match=r"constraints.max_tier_latency = 0.0001 cannot be met"):
        study_context(url(tmp_path), (*SETTINGS, *TIERS, "constraints.max_tier_latency=0.0001"))
    (tmp_path / "edge.toml").write_text('"layer1" = 3.0\nfinal = 4.0\n')
    wanted = [f"tiers.edge.file={tmp_path / 'edge.toml'}", *TIERS[1:]]
    with pytest.raises(MeasurementError, match="has no time of '0'"):
        study_context(url(tmp_path), (*SETTINGS, *wanted))
    with pytest.raises(MeasurementError, match=r"latency\.batch = 1"):
        study_context(url(tmp_path), (*SETTINGS, *TIERS, "latency.batch=2"))


def test_three_tiers_have_the_split_of_the_shortest_path(tmp_path):
    wanted = (
        *("tiers.edge.factor=300", "tiers.edge.link.preset=wifi", "tiers.gateway.factor=30"),
        *("tiers.gateway.link.mbit=20", "tiers.gateway.link.round_trip_ms=2", "tiers.cloud.factor=1"),
    )
    context = study_context(url(tmp_path), (*SETTINGS, *wanted))
    placed = tuple(Placed(cut_point=name, branch=PoolFc(pool="avg", size=1)) for name in ("0", "2"))
    design = replace(context.plain_design(), branches=placed)
    splits = context.costs(design).costs.splits
    assert len(splits.splits) == 21, "splits of three tiers are pairs of 6 places, not falling"
    assert splits.splits[0] == ("", "")
    measured = MeasuredNetwork(
        profile=context.profile,
        at=(0, 2),
        branches=tuple(each.branch for each in placed),
        costs=tuple(
            context._measure(each.branch, context.profile.cut_points[at].shape, with_latency=True)
            for each, at in zip(placed, (0, 2), strict=True)
        ),
        num_classes=4,
        input_shape=(3, 8, 8),
    )
    tiers = context.settings.tiers
    network = TieredNetwork(
        times=tuple(tier_times(tier, None, measured) for tier in tiers.tiers),
        cut_points=measured.cut_points,
        elements=tuple(point.shape.elements for point in context.profile.cut_points),
        after=measured.after,
        num_classes=4,
        input_bytes=3 * 8 * 8,
    )
    costs, seen = tier_costs(network, tiers), set()
    for leaving in (50 * np.random.default_rng(0).dirichlet([0.3] * 3, 40)).astype(np.int64) + 1:
        path = costs.best(tuple(leaving / leaving.sum()))
        index, means = splits.best(leaving[None])
        assert means[0, 0] == pytest.approx(path.mean)
        assert splits.splits[index[0]] == costs.named(path.split)
        seen.add(splits.splits[index[0]])
    assert len(seen) > 1


def test_what_crosses_the_link_depends_on_the_design(tmp_path):
    context = study_context(url(tmp_path), (*SETTINGS, *TIERS))
    plain = context.plain_design()
    assert input_bytes(plain, (3, 8, 8)) == 3 * 8 * 8
    assert not sends_logits(plain)
    design = replace(plain, policy=replace(plain.policy, kind="patience"))
    assert not sends_logits(design), "one exit has no decisions"
    assert context.identity_backbone
    splits = context.costs(plain).costs.splits
    assert splits.splits == ("", "0", "1", "2", "3", "final")


def test_a_copied_trial_counts_the_logits_that_its_own_policy_sends(tmp_path):
    context = study_context(url(tmp_path), (*SETTINGS, *TIERS, "prepare.when=never"))
    design = replace(context.plain_design(), branches=(Placed("1", PoolFc(pool="avg", size=2)),))
    patient = replace(design, policy=replace(design.policy, kind="patience"))
    first = run_trial(design, context, PruningRule(LearningCurves(context.database), "s"), study="s", number=0)
    copied = run_trial(patient, context, None, study="s", number=1, earlier=first)
    wanted = context.costs(patient).costs.splits
    assert copied.record.state == "copied"
    for table in copied.tables.values():
        np.testing.assert_array_equal(table.costs.splits.values, wanted.values)
    sent = wanted.names.index("bytes_sent")
    assert (wanted.values[:, sent] > first.tables["validation"].costs.splits.values[:, sent]).any()


def test_codecs_that_change_a_mask_are_refused(tmp_path):
    given = {"backbone": token_net(), "task": token_task(), "space": None}
    settings = (*SETTINGS, *TIERS, "prepare.when=never")
    with pytest.raises(MeasurementError, match="a mask must stay exact beside the features there, and int8 changes"):
        study_context(url(tmp_path), (*settings, "tiers.edge.link.codec=int8"), **given)
    context = study_context(url(tmp_path), (*settings, "tiers.edge.link.codec=float16"), **given)
    assert context.tiers is not None
    link = replace(context.tiers.tiers.links[0], codec="int8")
    lossy = replace(context, tiers=replace(context.tiers, tiers=replace(context.tiers.tiers, links=(link,))))
    chosen = Chosen(design=context.plain_design(), name="", estimate=None)
    network = build_network(chosen.design, context.backbone)
    with pytest.raises(MeasurementError, match="a mask must stay exact beside the features there, and int8 changes"):
        codec_choice.choose_codec(lossy, network, chosen)
