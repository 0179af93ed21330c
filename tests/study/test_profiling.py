"""A latency profile taken here and used in a study as if it came from a board: nothing is timed, and it is told."""

import json
from dataclasses import replace

import pytest

from eenas.designs.space import load_space
from eenas.errors import InfeasibleError, MeasurementError, StudyError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.latency_profile import TimedBranch, read_latency_profile
from eenas.reporting.facts.front_table import to_table
from eenas.results.choice import Choice
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.study.context.latencies import refuse_cells, spec_of
from eenas.study.context.profiling import profile
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS

BACKBONE = "eenas.testing.smallest:smallest_backbone"
TIMING = tuple(each for each in SETTINGS if each.startswith("latency."))


def take(out, **options):
    options.setdefault("space", "small")
    return profile(BACKBONE, out=out, classes=4, size=8, device="cpu", overrides=TIMING, trust_code=True, **options)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A profile whose times are not of this machine."""
    path = tmp_path_factory.mktemp("board") / "board.json"
    found = take(path).profile
    text = json.dumps(found.to_table()).replace(found.whole.device, "a board")
    path.write_text(text)
    return path


def look(board, folder, **options):
    options.setdefault("overrides", tuple(each for each in SETTINGS if each not in TIMING))
    return search(
        BACKBONE,
        task=smallest_task(),
        storage=f"sqlite:///{folder}/eenas.db",
        device="cpu",
        space="small",
        trials=3,
        trust_code=True,
        latency_profile=board,
        **options,
    )


def test_a_study_takes_its_latencies_from_the_profile(board, tmp_path, monkeypatch):
    with monkeypatch.context() as untimed:
        untimed.setattr("eenas.measurement.rounds.Rounds.measure", None)
        results = look(board, tmp_path)
    there = read_latency_profile(board)
    assert results.latency == there.whole
    assert results.latency_place == "a board in eager torch"
    assert "a board" in to_table(results)["latency"]
    assert results.backbone.costs["latency"] == min(there.whole.median_ms, there.profile.plain_latency.median_ms)
    assert all(point.expected["latency"] for trial in results.trials for point in trial.points)
    assert results.settings.latency == there.spec
    with pytest.raises(StudyError, match="the latency profile"):  # timing it here is another study
        search(
            BACKBONE, task=smallest_task(), storage=f"sqlite:///{tmp_path}/eenas.db", device="cpu", space="small",
            overrides=SETTINGS, trust_code=True, name=results.name,
        )  # fmt: skip
    storage = f"sqlite:///{tmp_path}/eenas.db"
    report = train(
        storage, choice=Choice(network="trial 2"), out=tmp_path / "run", task=smallest_task(), trust_code=True
    )
    assert report.latency == there.whole
    assert report.end_to_end_ms is None
    assert all(exit_.end_to_end is None for exit_ in report.exits)


def test_taking_it_again_adds_what_is_missing(board, tmp_path):
    path = tmp_path / "part.json"
    first = take(path, seconds=0.0)
    assert first.lacking == first.wanted > 3
    with pytest.raises(MeasurementError, match=rf"lacks {first.wanted} of the {first.wanted} branches .* repeat"):
        look(path, tmp_path)
    second = take(path)
    assert second.lacking == 0
    assert second.profile.profile == first.profile.profile  # gone on with, not timed anew
    assert read_latency_profile(path).digest == second.profile.digest
    with pytest.raises(
        MeasurementError, match=r"is the profile of another network .the number of classes: 4 in .*--out"
    ):
        profile(BACKBONE, out=path, classes=5, size=8, space="small", overrides=TIMING, trust_code=True)
    with pytest.raises(MeasurementError, match="other conditions"):
        profile(
            BACKBONE, out=path, classes=4, size=8, space="small", device="cpu", trust_code=True,
            overrides=(*TIMING, "latency.batch=2"),
        )  # fmt: skip


def test_a_space_with_more_slots_than_cut_points_is_fitted(tmp_path):
    taken = take(tmp_path / "wide.json", seconds=0.0, space="default")
    assert load_space("default").branches > len(taken.profile.profile.cut_points)
    assert taken.wanted > 3


def test_a_study_that_asks_for_other_conditions_is_refused(board):
    there = read_latency_profile(board)
    assert spec_of(LatencySpec(seconds=5.0), there) == there.spec
    with pytest.raises(
        MeasurementError, match=r"measured with latency.batch = 1, but the study states 8; leave latency.b"
    ):
        spec_of(LatencySpec(batch=8), there)


def test_a_cell_that_a_search_makes_up_is_infeasible_before_it_is_trained(board):
    space = load_space("default")
    proposal = {name: domain.nearest("") if name != "slot1.structure" else "learned_cell"
                for name, domain in space.parameters().items()}  # fmt: skip
    proposal["slot1.on"] = True
    refuse_cells(proposal, space, None)
    with pytest.raises(InfeasibleError, match=r"slot 1: learned_cell creates a branch that is not in"):
        refuse_cells(proposal, space, read_latency_profile(board))


def test_a_branch_over_the_cap_is_counted_and_not_timed(board):
    there = read_latency_profile(board)
    counted = [each for each in there.branches.values() if each.latency is None]
    assert all(isinstance(each, TimedBranch) and each.macs > 0 for each in counted)
    assert replace(there, branches={}).digest != there.digest
