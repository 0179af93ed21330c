"""A study with distortions: scores, records, front, training, report and export, and settings that contradict."""

import shutil

import numpy as np
import pytest

from eenas.deployment.network_sources import of_run
from eenas.errors import EenasError, SpecError
from eenas.handle.recordings import RecordingSource
from eenas.percent import percent
from eenas.policies.contexts.robustness import DISTORTED, WORST_DISTORTED, robustness
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.simulation import simulate_stream
from eenas.policies.controllers.stream import Stream
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.operating_point import evaluate
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.reporting.facts.distortion_facts import by_kind, context_rows, load_contexts
from eenas.reporting.facts.front_table import backbone_row, front_rows, to_table
from eenas.reporting.facts.run_facts import run_summary
from eenas.reporting.figures.front_figure import front_facts
from eenas.results.choice import Choice
from eenas.results.read import open_results
from eenas.results.rows import point_rows
from eenas.runs.run_contexts import COMMON_ONLY
from eenas.runs.run_report import RunReport
from eenas.study.settings.study_spec import load_settings
from eenas.study.study import open_storage
from eenas.tasks.distortions.contexts import CLEAN
from tests.smallest_study import SETTINGS, SmallestStudy, backbone, run_search, study_context, url

KINDS = 'task.distortions.kinds=["gaussian_blur", "gaussian_noise"]'
DISTORTIONS = (KINDS, "task.distortions.severities=[1, 5]", "task.distortions.copies=4", "task.distortions.share=0.5")
ROBUST = 'search.objectives=["accuracy", "distorted_accuracy", "worst_distorted_accuracy", "macs"]'
LIMIT = "constraints.min_worst_distorted_accuracy=0.2"


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distorted")
    overrides = (*SETTINGS, *DISTORTIONS, ROBUST, LIMIT, "task.distortions.per_context=true")
    return SmallestStudy(folder, run_search(folder, trials=4, overrides=overrides))


@pytest.fixture(scope="module")
def report(studied, tmp_path_factory):
    return studied.train(tmp_path_factory.mktemp("run") / "run")


def test_points_have_their_accuracies_on_distorted_validation_samples(studied):
    store = ArtifactStore(studied.folder / "eenas.artifacts", create=False)
    assert {network.kind for network in studied.results.networks} >= {"trial", "static", "plain", "frozen"}
    for network in studied.results.networks:
        tables = {split: load_exit_table(store.path(reference)) for split, reference in network.artifacts.items()}
        distorted = tables["distorted_validation"]
        assert set(distorted.contexts) == {f"gaussian_{kind}:{each}" for kind in ("blur", "noise") for each in (1, 5)}
        assert "distorted_calibration" in tables
        for point in network.points[:3]:
            if network.kind != "plain":  # whose costs are those of one uncut model
                assert evaluate(point.policy, tables["validation"]).accuracy == point.accuracy
            assert dict(point.robustness) == dict(robustness(point.policy, distorted))


def test_the_objectives_are_those_of_the_drawn_point_and_are_maximised(studied):
    for trial in studied.results.trials:
        drawn = trial.chosen.robustness
        assert trial.values[:3] == (trial.chosen.accuracy, drawn[DISTORTED], drawn[WORST_DISTORTED])
        assert trial.violations["min_worst_distorted_accuracy"] == pytest.approx(0.2 - drawn[WORST_DISTORTED])
    opened = open_storage(Database(studied.storage, create=False))
    (summary,) = opened.get_all_studies()
    assert [direction.name for direction in summary.directions] == ["MAXIMIZE"] * 3 + ["MINIMIZE"]
    opened.engine.dispose()


def test_the_front_holds_what_no_other_point_beats_in_accuracy_robustness_and_cost(studied):
    front = studied.results.front
    keys = np.array(
        [(-p.accuracy, -p.robustness[DISTORTED], -p.robustness[WORST_DISTORTED], *p.expected.values())
         for p in (item.point for item in front)]
    )  # fmt: skip
    for one in keys:
        assert not ((keys <= one).all(axis=1) & (keys < one).any(axis=1)).any()
    assert all(item.point.robustness[WORST_DISTORTED] >= 0.2 for item in front)
    every = [p for network in studied.results.networks for p in network.points]
    best = max(point.robustness[DISTORTED] for point in every)
    assert max(item.point.robustness[DISTORTED] for item in front) == best


def test_tables_and_data_frames_show_them(studied):
    results = open_results(studied.storage, trust_code=True)
    assert results.front == studied.results.front
    rows = [backbone_row(results), *front_rows(results)]
    assert all(set(row.robustness) == {DISTORTED, WORST_DISTORTED} for row in rows)
    assert to_table(results)["front"][0][DISTORTED] == results.front[0].point.robustness[DISTORTED]
    assert all(DISTORTED in row for row in point_rows(results))


def test_the_report_has_the_scores_of_each_context_beside_the_backbone(studied):
    results = studied.results
    item = next(item for item in results.front if item.kind == "trial")
    scores = load_contexts(results, item, ArtifactStore(studied.folder / "eenas.artifacts", create=False))
    assert scores[0].context == CLEAN
    assert [each.context for each in scores[1:]] == [
        f"gaussian_{kind}:{each}" for kind in ("blur", "noise") for each in (1, 5)
    ]
    assert scores[0].accuracy == item.point.accuracy
    assert np.mean([each.accuracy for each in scores[1:]]) == pytest.approx(item.point.robustness[DISTORTED])
    assert all(each.backbone_accuracy is not None for each in scores)
    assert [severity for severity, _ in by_kind(scores)["gaussian_blur"]] == [0, 1, 5]
    assert context_rows(scores, results.backbone.macs)[1][0].startswith("gaussian_")
    assert load_contexts(results, None, ArtifactStore(studied.folder, create=False)) == ()


def test_full_training_reports_every_context_and_thresholds_per_context(report):
    found = report.contexts
    assert [each.context for each in found.common] == [each.context for each in found.own]
    assert {each.samples for each in found.common} == {60}
    assert found.common[0].accuracy == report.reported.accuracy
    assert np.mean([each.accuracy for each in found.common[1:]]) == pytest.approx(report.reported.robustness[DISTORTED])
    assert isinstance(found.policy, ContextPolicy)
    assert found.policy.contexts == ("gaussian_blur", "gaussian_noise"), "others have too few samples"
    assert RunReport.read(report.folder, trust_code=True).contexts == found


def test_an_exported_network_has_the_thresholds_per_context(report):
    package, _ = of_run(report.folder, backbone(), False)
    assert package.network.policy == report.contexts.policy
    card = package.card.partition("## Thresholds per context")[2]
    for each in report.contexts.own:
        assert f"| {percent(each.accuracy, 2)} | {percent(each.macs / report.backbone.macs)} |" in card


def test_a_guarantee_is_for_one_policy_and_is_exported_without_thresholds_per_context(studied, report, tmp_path):
    run = shutil.copytree(report.folder, tmp_path / "run")
    choice = Choice(network=f"trial {studied.trial}", max_accuracy_drop=0.3, confidence=0.8)
    found = studied.train(run, choice=choice)
    assert found.contexts.policy is None
    assert "Thresholds per context" not in of_run(found.folder, backbone(), False)[0].card
    assert COMMON_ONLY in run_summary(found)
    assert COMMON_ONLY not in run_summary(report)
    network = of_run(run, backbone(), False)[0].network
    assert network.policy == found.reported.policy
    assert network.guarantee == found.reported.guarantee is not None


def test_a_study_with_distortions_is_another_study_with_the_same_pristine_splits(tmp_path):
    plain = study_context(url(tmp_path))
    robust = study_context(url(tmp_path), (*SETTINGS, *DISTORTIONS))
    assert plain.task.distorted_splits == {}
    assert plain.task.digest != robust.task.digest
    assert robust.task.validation is not plain.task.validation
    assert (robust.task.validation.rows == plain.task.validation.rows).all()
    assert set(robust.task.train.contexts) > {CLEAN}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((ROBUST,), "distorted_accuracy needs distorted samples; name kinds in .task.distortions."),
        ((LIMIT,), "min_worst_distorted_accuracy needs distorted samples"),
        ((KINDS, "constraints.min_distorted_accuracy=90"), r"a share in \[0, 1\] \(0.9 for 90 %\), got 90"),
        ((KINDS, 'search.objectives=["distorted_acuracy"]'), "nearest: 'distorted_accuracy'"),
        ((KINDS, "constraints.min_distorted_acuracy=0.5"), "nearest: 'min_distorted_accuracy'"),
        (("task.distortions.severities=[6]", KINDS), "whole numbers from 1 to 5"),
    ],
)
def test_settings_that_contradict_are_refused_in_one_line(overrides, message):
    with pytest.raises(SpecError if "severities" not in overrides[0] else EenasError, match=message) as raised:
        load_settings(backbone="cifar_resnet20", overrides=overrides)
    assert "\n" not in str(raised.value)


def test_the_front_s_figure_tells_the_accuracies_on_hovering(studied):
    item = next(item for item in studied.results.front if item.kind == "trial")
    facts = front_facts(studied.results, picked=item)
    texts = [mark.text for mark in (*facts.front, *facts.cloud, facts.picked) if mark is not None]
    wanted = f"distorted {percent(item.point.robustness[DISTORTED])}"
    assert any(wanted in text and "worst kind" in text for text in texts)


def test_a_simulation_has_the_contexts_of_the_study_as_phases(studied):
    source = RecordingSource(storage=url(studied.folder), network=f"trial {studied.trial}")
    found = source.read(studied.results.name)
    store = ArtifactStore(studied.folder / "eenas.artifacts", create=False)
    network = next(each for each in studied.results.networks if each.name == f"trial {studied.trial}")
    for split, names in (("validation", ["clean"]), ("distorted_validation", ["gaussian_blur:1", "gaussian_noise:5"])):
        table = load_exit_table(store.path(network.artifacts[split]))
        for name in names:
            wanted = table.correct() if table.contexts is None else table.by_context()[name].correct()
            assert (found.of_context(name).correct == wanted).all()
    kind = controller_from_text("adaee,warm_up=5")
    stream = Stream.read("clean,gaussian_noise:5", rounds=200, contexts=True)
    assert [phase.name for phase in simulate_stream(kind, found, stream, seeds=1).phases] == [
        "clean",
        "gaussian_noise:5",
    ]
