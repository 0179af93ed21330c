"""The phases of each strategy, by hand."""

import pytest

from eenas.designs.training_choice import TrainingChoice
from eenas.errors import TrainingError
from eenas.training.strategies import LOW_RATE, STRATEGIES, phases


def found(num_exits=3, **values):
    return phases(TrainingChoice(**{"strategy": "joint", **values}), num_exits)


def hybrid(name, num_exits=3, **values):
    return found(num_exits, strategy="hybrid", hybrid=name, **values)


def shape(phase):
    return (phase.trains, phase.exits, phase.distils)


def test_one_phase():
    assert [shape(phase) for phase in found()] == [("all", (0, 1, 2), None)]
    assert [shape(phase) for phase in found(strategy="two_stage")] == [("branches", (0, 1), None)]
    for teacher in ("final", "backbone"):
        assert [shape(p) for p in found(strategy="distillation", teacher=teacher)] == [("all", (0, 1, 2), teacher)]


def test_branch_wise_has_a_phase_for_each_exit():
    each = found(strategy="branch_wise")
    assert [shape(phase) for phase in each] == [("part", (k,), None) for k in range(3)]
    assert [phase.part for phase in each] == [0, 1, 2]
    assert [phase.share for phase in each] == [pytest.approx(1 / 3)] * 3


def test_hybrids():
    assert [shape(p) for p in hybrid("mixed")] == [("backbone", (2,), None), ("all", (0, 1, 2), None)]
    branches, joint = hybrid("two_stage_joint")
    assert (shape(branches), shape(joint)) == (("branches", (0, 1), None), ("all", (0, 1, 2), None))
    assert (branches.rate, joint.rate) == (1.0, LOW_RATE)
    assert [shape(p) for p in hybrid("joint_distillation", teacher="final")] == [
        ("all", (0, 1, 2), None),
        ("all", (0, 1, 2), "final"),
    ]
    assert [p.alternate for p in hybrid("alternating")] == [True]


def test_a_frozen_backbone_is_its_own_teacher():
    for teacher in ("final", "backbone"):
        assert [shape(p) for p in hybrid("two_stage_distillation", teacher=teacher)] == [("branches", (0, 1), "final")]


def test_a_backbone_that_learns_at_rate_zero_is_frozen_in_every_phase():
    assert [shape(phase) for phase in found(backbone_rate=0.0)] == [("branches", (0, 1), None)]
    each = found(strategy="branch_wise", backbone_rate=0.0)
    assert [shape(phase) for phase in each] == [("branches", (0,), None), ("branches", (1,), None)]
    assert [phase.share for phase in each] == [0.5, 0.5]
    assert [shape(p) for p in hybrid("joint_distillation", backbone_rate=0.0)] == [
        ("branches", (0, 1), None),
        ("branches", (0, 1), "final"),
    ]


def test_one_exit_is_trained_alike_by_every_strategy():
    for strategy in ("joint", "branch_wise", "two_stage", "distillation", "hybrid"):
        assert [shape(phase) for phase in found(1, strategy=strategy)] == [("all", (0,), None)]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("def own(choice, exits): return None", "a strategy must return one or more phases, got None; return Phase"),
        ("def own(choice, exits): return ()", r"a strategy must return one or more phases, got \(\)"),
        ("def own(choice, exits): return exits", r"a strategy must return one or more phases, got \(0, 1, 2\)"),
        ("def own(choice): return ()", r"own must take 2 arguments, own\(choice, exits\), got own\(choice\)$"),
        ("own = 3", "a strategy must be a function of a choice and exits, got 3"),
    ],
)
def test_an_own_strategy_without_phases_is_named(tmp_path, code, text):
    (tmp_path / "own.py").write_text(code)

    def load_and_run():
        STRATEGIES.find("./own.py:own", trust_code=True, relative_to=tmp_path)
        return found(strategy="./own.py:own")

    with pytest.raises(TrainingError, match=rf"^\./own.py:own: {text}"):
        load_and_run()
