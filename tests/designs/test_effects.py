"""Contradictions in a space file: refused when it is read, with the key and the fix."""

from pathlib import Path
from typing import Any

import pytest

from eenas.designs.domains import FloatRange
from eenas.designs.space import Space, load_space
from eenas.errors import SpecError


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "[training]\nhybrid = 'alternating'",
            "[training.hybrid]: 'alternating' has no effect: no draw has training.strategy = 'hybrid'; allow it, or "
            "leave hybrid at 'mixed'",
        ),
        (
            "[training]\nstrategy = ['joint', 'two_stage']\nteacher = 'final'",
            "[training.teacher]: 'final' has no effect: only training.strategy = 'distillation', or 'hybrid' with "
            "'joint_distillation' uses it; allow one, or leave teacher at 'backbone'",
        ),
        (
            "[training]\nstrategy = 'two_stage'\nbackbone_rate = 0.5",
            "[training.backbone_rate]: 0.5 has no effect: only training.strategy = 'joint' or 'branch_wise' or "
            "'distillation'",
        ),
        (
            "[training]\nstrategy = 'two_stage'\nloss_weights = 'boosted'",
            "[training.loss_weights]: training.loss_weights = 'boosted' adds the final exit to the branches",
        ),
        (
            "[policy]\nkind = ['patience', 'vote']\nper_exit = true",
            "[policy.per_exit]: true has no effect: no draw has policy.kind = 'threshold'; allow it, or leave per_exit",
        ),
        ("[policy]\nkind = 'patience'\nscore = 'entropy'", "[policy.score]: 'entropy' has no effect"),
        (
            "branches = 1\n[network]\ncascade = true",
            "[network.cascade]: true has no effect: it joins branches and the space has one slot; set branches to 2",
        ),
        (
            "[placement]\nkind = 'free'\ncost_weight = 0.5",
            "[placement.cost_weight]: 0.5 has no effect: no draw has placement.kind = 'gating'; allow it, or leave",
        ),
        ("[placement]\nkind = 'gating'\nmetric = 'gain'", "[placement.metric]: 'gain' has no effect: no draw has"),
        (
            "branches = 3\n[placement]\nkind = 'gating'\ncount = [4, 5]",
            "[placement.count]: 4 branches need as many slots, and the space has 3; lower it, or raise branches",
        ),
        ("[placement]\nkind = 'gating'\ncost_weight = 0", "[placement.cost_weight]: must be above 0"),
        ("[network]\ncascades = true", "[network.cascades]: unknown key; nearest: 'cascade'"),
    ],
)
def test_contradictions_name_file_key_and_fix(toml: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(toml)
    with pytest.raises(SpecError) as caught:
        load_space(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


def test_a_choice_that_no_draw_uses_makes_no_parameter() -> None:
    table: dict[str, Any] = {
        "branches": 1,
        "placement": {
            "kind": ["free", "metric"],
            "metric": ["gain", "savings"],
            "distribution": ["linear", "gold"],
            "cost_weight": {"low": 0.1, "high": 0.6},
        },
        "network": {"cascade": [False, True]},
        "training": {"strategy": ["joint", "two_stage"], "teacher": ["final", "backbone"], "final_weight": [1.0, 2.0]},
        "policy": {"kind": ["patience", "vote"], "per_exit": [False, True]},
    }
    names = [name for name in Space.from_table(table).parameters() if not name.startswith("slot")]
    assert names == ["placement.kind", "placement.metric", "training.strategy", "training.final_weight", "policy.kind"]
    table["branches"] = 2
    table["placement"] |= {"kind": "gating", "count": {"low": 0, "high": 2}}
    table["training"]["strategy"] = "distillation"
    table["policy"]["kind"] = ["threshold", "vote"]
    parameters = Space.from_table(table).parameters()
    names = [name for name in parameters if not name.startswith("slot")]
    assert names == [
        *("placement.cost_weight", "placement.count", "network.cascade", "training.teacher", "training.final_weight"),
        *("policy.kind", "policy.per_exit"),
    ]
    assert parameters["placement.cost_weight"] == FloatRange(0.1, 0.6)


def test_boosted_weights_beside_others_are_for_the_draw_to_mend() -> None:
    table = {"strategy": ["joint", "two_stage"], "loss_weights": ["equal", "boosted"]}
    assert "training.loss_weights" in Space.from_table({"training": table}).parameters()
