"""Published networks for text in a study: their designs, their training, and where they are shown."""

import numpy as np
import pytest

from eenas.branches.presets import deebert, pabee
from eenas.errors import SpecError
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.reporting.facts.front_table import baseline_rows, shares_rows
from eenas.runs.run_baselines import rivals
from eenas.study.rivals.published import PUBLISHED
from eenas.study.settings.baselines_spec import BaselinesSpec
from tests.smallest_study import run_search
from tests.smallest_texts import text_study

pytestmark = pytest.mark.slow

LAYERS = ("layers.0", "layers.1")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    return text_study(folder, 'baselines.published=["deebert","pabee","berxit"]')


def _network(study, name):
    (found,) = (each for each in study.results.networks if each.name == name)
    return found


def test_each_has_its_branch_behind_every_layer_and_its_own_training(study):
    branches = {"deebert": deebert(), "pabee": pabee(), "berxit": deebert()}
    for name, branch in branches.items():
        design = _network(study, name).design
        assert [(placed.cut_point, placed.branch) for placed in design.branches] == [(each, branch) for each in LAYERS]
    assert _network(study, "deebert").design.training.strategy == "two_stage"
    assert _network(study, "deebert").design.policy.score == "entropy"
    assert _network(study, "pabee").design.training.loss_weights == "linear"
    assert _network(study, "berxit").design.training.method == "alternating"
    rates = {_network(study, name).design.training.learning_rate for name in branches}
    assert len(rates) == 1, "the rates of the space are those of all"


def test_each_answers_by_its_own_policy_only(study):
    policies = [point.policy for point in _network(study, "pabee").points]
    assert {type(policy) for policy in policies} == {PatiencePolicy}
    thresholds = [point.policy for point in _network(study, "deebert").points]
    assert {type(policy) for policy in thresholds} == {ThresholdPolicy}
    assert {policy.score for policy in thresholds} == {"entropy"}


def test_they_are_rivals_wherever_rivals_are_shown(study):
    results = study.results
    assert {"deebert", "pabee", "berxit"} <= {row.name for row in shares_rows(results)}
    assert {"deebert", "pabee", "berxit"} <= {row.name for row in baseline_rows(results)}
    assert {"deebert", "pabee", "berxit"} <= {one.baseline for one in results.comparisons}
    assert [each.name for each in rivals(results, 0) if each.kind == "published"] == list(PUBLISHED)
    assert all(np.isfinite(point.accuracy) for point in _network(study, "pabee").points)


def test_one_of_them_is_trained_fully_like_a_network_of_the_search(study, tmp_path):
    import eenas

    report = study.train(
        eenas.Choice(network="pabee"), out=tmp_path, device="cpu", overrides=("full_training.samples=64",)
    )
    assert len(report.exits) == len(LAYERS) + 1


def test_images_have_no_such_rivals(tmp_path):
    results = run_search(tmp_path, trials=1, overrides=('baselines.published=["pabee"]',))
    assert [each for each in results.networks if each.kind == "published"] == []


@pytest.mark.parametrize(
    ("names", "text"),
    [(("pabe",), r"unknown network; nearest: 'pabee'"), (("pabee", "pabee"), "names a network twice: pabee, pabee")],
)
def test_unknown_names_are_refused(names, text):
    with pytest.raises(SpecError, match=f"baselines.published.*{text}"):
        BaselinesSpec(published=names)
