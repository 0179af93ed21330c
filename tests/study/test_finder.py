"""Placement and structures that a study trains for: kept, replayed, and the same for every worker."""

from functools import partial

import pytest

from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.pool_fc import PoolFc
from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed
from eenas.frozen.gates import GateTraining, fit_gates
from eenas.progress import Finished, Notice, Started
from eenas.study.context.bank import PHASE, Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.trials import finder as finder_module
from eenas.study.trials.finder import Finder
from eenas.testing.placement_contract import check_chooser, check_learner, check_placement
from tests.smallest_study import SETTINGS, study_context

VALUES = {"kind": "gating", "cost_weight": 0.3, "count": 0, "most": 3}
CANDIDATES = (Placed("0", Fc()), Placed("1", PoolFc(pool="avg", size=2)), Placed("2", Fc()))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('finder')}/eenas.db"


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates of this little data need no 600 steps."""
    monkeypatch.setattr(finder_module, "fit_gates", partial(fit_gates, training=GateTraining(steps=60)))


@pytest.fixture
def heard() -> list[object]:
    return []


@pytest.fixture
def context(storage: str, heard: list[object]) -> StudyContext:
    """A context of its own for each test, as a worker has it, on a database that they share."""
    return study_context(storage, (*SETTINGS, "space.cost_cap=1.0"), listener=heard.append)


def finder_on(context: StudyContext) -> Finder:
    return Finder(context, Bank(context))


def trained(heard: list[object]) -> list[str]:
    """What training for the bank said at its ends."""
    return [event.detail for event in heard if isinstance(event, Finished) and event.phase == PHASE]


def test_by_gates_once_for_all_workers(
    context: StudyContext, heard: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check_chooser(finder_on(context).choose, CANDIDATES, VALUES)
    assert found.facts["candidates"] == found.facts["structures"] == 3
    assert set(found.facts["openness"]) == {"0", "1", "2"}
    assert found.facts["value"] == pytest.approx(found.facts["accuracy"] - 0.3 * found.facts["cost"], abs=1e-5)
    assert trained(heard) == ["3 branches"]
    monkeypatch.setattr(finder_module, "fit_gates", None)
    assert finder_on(context).choose(CANDIDATES, VALUES) == found


def test_no_candidate_is_trained_twice(context: StudyContext, heard: list[object]) -> None:
    other = (*CANDIDATES[:2], Placed("2", branch_from_sizes("mlp", width=8, layers=1, pool="avg")))
    finder_on(context).choose(CANDIDATES, VALUES)
    heard.clear()
    found = check_chooser(finder_on(context).choose, other, {**VALUES, "count": 2})
    assert len(found.branches) == 2
    assert trained(heard) == ["1 branch"]
    by_gain = check_chooser(finder_on(context).choose, other, {"kind": "metric", "metric": "gain", "most": 2})
    assert len(by_gain.facts["gains"]) == len(by_gain.branches)
    by_savings = check_chooser(finder_on(context).choose, other, {"kind": "metric", "metric": "savings", "most": 2})
    assert len(by_savings.branches) == 2
    assert trained(heard) == ["1 branch"]


def test_a_lost_artifact_is_trained_again(context: StudyContext, heard: list[object]) -> None:
    finder_on(context).choose(CANDIDATES, VALUES)
    for file in context.artifacts.root.glob("branch-*.safetensors"):
        file.unlink()
    heard.clear()
    finder_on(context).choose(CANDIDATES, {**VALUES, "cost_weight": 0.4})
    assert trained(heard) == ["3 branches"]


def test_every_gate_closed_is_one_line_and_a_notice(context: StudyContext, heard: list[object]) -> None:
    values = {**VALUES, "cost_weight": 1e-6}
    dear = tuple(
        Placed(each.cut_point, branch_from_sizes("conv_stack", width=64, layers=2, pool="avg")) for each in CANDIDATES
    )
    for _ in range(2):
        heard.clear()
        found = finder_on(context).choose(dear, {**values, "cost_weight": 5.0})
        (note,) = found.notes
        assert note.startswith("placement.gating: every gate closed (cost_weight 5); started from the best single")
        assert [event.text for event in heard if isinstance(event, Notice)] == [note]


def test_positions_and_structures_together(context: StudyContext) -> None:
    learned = tuple(Placed(each.cut_point, Learned(width=8)) for each in CANDIDATES)
    found = finder_on(context).choose(learned, VALUES)
    assert found.facts["structures"] > found.facts["candidates"] == 3
    assert not any(placed.branch.is_open for placed in found.branches)


def test_structures_are_found_once(context: StudyContext, heard: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    placed = (Placed("0", Learned(width=8)), Placed("1", PoolFc()))
    found = check_learner(finder_on(context).learn, placed)
    assert [table["cut_point"] for table in found.facts["branches"]] == ["0"]
    assert any(isinstance(event, Started) for event in heard)
    monkeypatch.setattr(finder_module, "find_structures", None)
    assert finder_on(context).learn(placed[:1]).branches == found.branches[:1]


def test_a_whole_space_and_a_replay(context: StudyContext) -> None:
    table = {
        "branches": 2,
        "placement": {"kind": ["gating", "metric"], "metric": ["gain", "savings"], "count": [0, 1]},
        "branch": {"structure": ["fc", "pool_fc"]},
        "network": {"cascade": [True, False]},
        "cost_cap": 1.0,
    }
    space = type(context.settings.space).from_table(table)
    finder = finder_on(context)
    designs = check_placement(
        space, context.profiled_backbone, chooser=finder.choose, learner=finder.learn, proposals=4
    )
    assert designs
    for design in designs:
        replayed = Design.from_json(design.to_json())
        network = context.build(replayed)
        assert network.exits[:-1] == tuple(placed.cut_point for placed in design.branches)
        assert len(context.costs(replayed).costs["macs"]) == len(design.branches) + 1
