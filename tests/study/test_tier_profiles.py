"""Tiers of a study whose times are in a profile taken on another machine."""

import json
from dataclasses import replace

import pytest

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import InfeasibleError, MeasurementError
from eenas.measurement.latency_profile import read_latency_profile
from eenas.progress import silent
from eenas.study.context.latencies import refuse_untimed
from eenas.study.context.profiling import profile
from eenas.study.context.study_context import make_context
from eenas.study.context.tiers import digests_of, timed_elsewhere
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, url

BACKBONE = "eenas.testing.smallest:smallest_backbone"
TIMING = tuple(each for each in SETTINGS if each.startswith("latency."))


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A profile of the smallest backbone, taken here."""
    path = tmp_path_factory.mktemp("board") / "board.json"
    profile(BACKBONE, out=path, classes=4, size=8, device="cpu", overrides=TIMING, trust_code=True, space="small")
    return path


def context(board, folder, *overrides):
    wanted = (*SETTINGS, "tiers.edge.profile=board.json", "tiers.edge.link.preset=wifi", "tiers.cloud.factor=0.5")
    settings, _ = load_settings(backbone=BACKBONE, space="small", overrides=(*wanted, *overrides))
    study = StudyReference(storage=url(folder), task=smallest_task(), listener=silent, trust_code=True)
    return make_context(settings, study, device="cpu", folder=board.parent)


def test_the_times_of_the_profile_count_on_its_tier(board, tmp_path):
    found, there = context(board, tmp_path), read_latency_profile(board)
    splits = found.plain_costs().splits
    edge_only = splits.under("final")[0, 0]
    times = there.profile.total_latency.median_ms + there.profile.decision.median_ms
    assert edge_only == pytest.approx(times, rel=0.5)
    assert edge_only >= there.profile.total_latency.median_ms
    assert timed_elsewhere(found.latencies, found.tiers) == (found.tiers.sources[0],)
    assert digests_of(found.tiers) == {"edge": there.digest}
    own = Placed(cut_point="0", branch=PoolFc(pool="avg", size=3))
    design = replace(found.plain_design(), branches=(own,))
    with pytest.raises(InfeasibleError, match="has no latency of"):
        refuse_untimed(design, found.profile, found.tiers.sources[0])


def test_a_profile_must_hold_the_branches_of_the_space(board, tmp_path):
    table = json.loads(board.read_text())
    table["branches"] = dict(list(table["branches"].items())[:1])
    (tmp_path / "board.json").write_text(json.dumps(table))
    with pytest.raises(MeasurementError, match="branches that this search space can place"):
        context(tmp_path / "board.json", tmp_path)


def test_a_profile_of_another_backbone_is_refused(board, tmp_path):
    table = json.loads(board.read_text())
    (tmp_path / "board.json").write_text(json.dumps({**table, "num_classes": 5}))
    with pytest.raises(MeasurementError, match="the number of classes"):
        context(tmp_path / "board.json", tmp_path)
    (tmp_path / "board.json").unlink()
    with pytest.raises(MeasurementError, match=r"board\.json"):
        context(tmp_path / "board.json", tmp_path)
