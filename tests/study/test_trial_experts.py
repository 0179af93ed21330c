"""Trials that draw experts for distorted images: scored with them, recorded, and trained fully with them."""

import numpy as np
import pytest

from eenas.deployment.export import export
from eenas.designs.design import Design, TrainingChoice
from eenas.designs.space import Space, load_space
from eenas.errors import MeasurementError, SpecError
from eenas.handle.tiered_source import TieredSource
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.operating_point import evaluate, with_robustness
from eenas.programs.experts.expert_folder import load_experts
from eenas.records.artifacts import ArtifactStore
from eenas.results.choice import Choice
from eenas.study.settings.limits import Limits
from eenas.study.settings.study_spec import load_settings
from eenas.study.trials.scores import score_tables
from eenas.study.trials.trial import Outcome, run_trial
from eenas.study.trials.trial_experts import has_experts
from eenas.tasks.images.image_input import image_input
from tests.smallest_study import SETTINGS, SmallestStudy, backbone, run_search, study_context

DISTORTIONS = ('task.distortions.kinds=["contrast"]', "task.distortions.severities=[5]")
EXPERTS = ("experts.training.samples=320", "experts.training.batch_size=16", "experts.trial_samples=160")
DRAWN = (
    'space.training.experts="per_kind"',
    *DISTORTIONS,
    *EXPERTS,
    'search.objectives=["distorted_accuracy", "macs"]',
)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return SmallestStudy(folder, run_search(folder, trials=2, overrides=(*SETTINGS, *DRAWN)))


@pytest.fixture(scope="module")
def trial(studied):
    return next(each for each in studied.results.trials if each.number == studied.trial)


@pytest.fixture(scope="module")
def tables(studied, trial):
    store = ArtifactStore.beside(studied.storage, None)
    return {split: load_exit_table(store.path(reference)) for split, reference in trial.artifacts.items()}


def test_scores_are_those_of_the_network_with_experts_and_the_classifier(trial, tables):
    assert trial.state == "complete", trial.reason
    assert has_experts(trial.design)
    assert isinstance(trial.chosen.policy, ExpertPolicy)
    assert trial.chosen.policy.names == ("pristine", "contrast")
    validation, distorted = tables["validation"], tables["distorted_validation"]
    assert isinstance(validation, RoutedTable)
    assert validation.names == ("pristine", "contrast")
    assert 0.5 < np.mean(distorted.chosen == 1) <= 1
    assert np.mean(validation.chosen == 1) < 0.5
    assert with_robustness(evaluate(trial.chosen.policy, validation), distorted) == trial.chosen
    assert trial.values == (trial.chosen.robustness["distorted_accuracy"], trial.chosen.expected["macs"])
    assert all(isinstance(point.policy, ExpertPolicy) for point in trial.points)
    assert not trial.frozen_points, "the banked branches have no experts"


def test_a_network_with_experts_has_no_tiers(studied):
    source = TieredSource(storage=studied.storage, network=f"trial {studied.trial}")
    with pytest.raises(MeasurementError, match="has experts"):
        source.read(studied.results.name)


def test_every_exit_pays_for_the_classifier(studied, trial, tables):
    context = study_context(studied.storage, (*SETTINGS, *DRAWN))
    plain, costs = context.costs(trial.design), tables["calibration"].costs
    more = costs["macs"] - plain.costs["macs"]
    assert len(set(more.tolist())) == 1
    assert 0 < more[0] < 20_000
    assert (costs["latency"] > plain.costs["latency"]).all()
    assert trial.parameters > plain.parameters


def test_the_same_network_drawn_again_has_the_same_scores(studied, trial, tables):
    context = study_context(studied.storage, (*SETTINGS, *DRAWN))
    earlier = Outcome(trial, {split: each for split, each in tables.items() if "frozen" not in split}, None)
    again = run_trial(trial.design, context, None, study="again", number=9, earlier=earlier).record
    assert again.state == "copied"
    assert (again.points, again.chosen, again.parameters) == (trial.points, trial.chosen, trial.parameters)


def test_a_limit_on_the_worst_case_holds_for_every_expert(studied, trial, tables):
    context = study_context(studied.storage, (*SETTINGS, *DRAWN))
    costs, total = context.costs(trial.design), context.profile.total_macs
    limit = (tables["calibration"].costs["macs"][-1] - 1) / total
    found = score_tables(trial.design, tables, costs, Limits(max_worst_macs=limit), backbone_macs=total)
    assert trial.chosen.worst["macs"] > limit * total
    assert found.chosen.worst["macs"] <= limit * total
    assert all(each.last_reachable < each.num_exits - 1 for each in found.chosen.policy.policies)


def test_full_training_of_the_trial_trains_its_experts_wholly(studied, trial, tmp_path):
    report = studied.train(tmp_path / "run", choice=Choice(network=f"trial {trial.number}"))
    folder = export(tmp_path / "model", run=report.folder, backbone=backbone(), storage=studied.storage)
    assert load_experts(folder, backbone=backbone()).own_norms
    assert report.experts.spec.batch_norm == "per_kind"
    assert report.experts.spec.training.samples == 320
    assert report.experts.facts.own_norms


def test_a_network_without_branches_has_no_experts():
    plain = Design(backbone="b", num_classes=2, inputs=image_input(8), training=TrainingChoice(experts="shared"))
    assert not has_experts(plain)
    assert plain.digest == Design(backbone="b", num_classes=2, inputs=image_input(8)).digest


def test_designs_and_spaces_without_experts_keep_their_digests():
    assert "experts" not in TrainingChoice().to_table()
    assert TrainingChoice(experts="shared").to_table()["experts"] == "shared"
    space = load_space("default")
    assert "experts" not in space.to_table()["training"]
    assert "training.experts" not in space.parameters()
    assert load_space("default").digest == Space.from_table(space.to_table()).digest


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (('space.training.experts=["none", "shared"]',), r"training.experts .* name kinds in \[task.distortions\]"),
        (('space.training.experts="perkind"', *DISTORTIONS), "per_kind"),
        (
            (
                'space.training.experts="shared"',
                *DISTORTIONS,
                "tiers.edge.factor=10.0",
                'tiers.edge.link.preset="4g"',
                "tiers.cloud.factor=1.0",
            ),
            "cannot be drawn in a study with tiers",
        ),
        ((*DISTORTIONS, "experts.trial_samples=0"), "experts.trial_samples must be at least 1, got 0"),
    ],
)
def test_experts_that_no_trial_can_have(overrides, words):
    with pytest.raises(SpecError, match=words):
        load_settings(backbone="resnet18", overrides=overrides)
