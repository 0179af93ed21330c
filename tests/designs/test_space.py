"""Search spaces: reading TOML, its errors, and the parameters that come out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eenas import shipped, specs
from eenas.designs.domains import Categorical, FloatRange, IntRange
from eenas.designs.keys import SECTIONS
from eenas.designs.space import Space, check_fitted, fitted_space, load_space, values_of
from eenas.errors import DesignError, PluginError, SpecError
from eenas.measurement.profile import Profile
from eenas.training.own_code import load_own_code


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_every_shipped_space_loads_and_round_trips(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    again = Space.from_table(space.to_table())
    assert again == space
    assert again.digest == space.digest
    assert specs.from_table(Space, specs.to_table(space)) == space
    assert sum(row.parameters for row in space.explain()) == len(space.parameters())


def test_default_space_has_what_it_promises() -> None:
    parameters = load_space("default").parameters()
    assert list(parameters)[5] == "slot1.on"
    assert parameters["slot1.on"] == Categorical((True, False))
    assert parameters["slot6.depth"] == FloatRange(0.0, 1.0)
    assert parameters["slot3.width"] == Categorical((16, 32, 64, 128))
    assert parameters["slot3.layers"] == IntRange(1, 3)
    assert parameters["training.learning_rate"] == FloatRange(0.005, 0.05, log=True)
    assert "training.optimizer" not in parameters
    assert len(parameters) == 5 + 6 * 6 + 1 + 11 + 6
    explained = {row.key for row in load_space("default").explain()}
    assert explained >= {f"{part}.{key}" for part, keys in SECTIONS.items() for key in keys}
    assert {"learned", "learned_cell"} < set(values_of(load_space("default"), "slot1.structure"))


def test_only_what_some_draw_uses_is_explained() -> None:
    explained = {row.key for row in load_space("sdn").explain()}
    assert {"branch.structure", "training.loss_weights", "slot.1.depth"} <= explained
    assert not {"branch.width", "branch.depth", "placement.count", "training.teacher"} & explained


def test_parameters_never_depend_on_a_draw() -> None:
    space = load_space("default")
    assert list(space.parameters()) == list(space.parameters())
    assert {name.partition(".")[0] for name in space.parameters() if name.startswith("slot")} == {
        f"slot{number}" for number in range(1, 7)
    }


def test_what_no_draw_can_use_is_no_parameter() -> None:
    table: dict[str, Any] = {
        "branches": 2,
        "placement": {"kind": ["uniform", "metric"], "metric": ["macs", "parameters"]},
        "branch": {"on": [True, False], "depth": [0.1, 0.9], "structure": ["fc", "mlp"], "pool": ["avg", "max"]},
    }
    table["branch"]["width"] = [8, 16]
    names = ["placement.kind", "placement.metric"]
    names += [f"slot{slot}.{key}" for slot in (1, 2) for key in ("on", "structure", "width")]
    assert list(Space.from_table(table).parameters()) == names
    table["placement"]["kind"] = "free"
    table["slot"] = {"1": {"on": False}, "2": {"structure": "fc"}}
    assert list(Space.from_table(table).parameters()) == ["slot2.on", "slot2.depth"]


def test_a_slot_of_its_own() -> None:
    table = {"branches": 2, "branch": {"structure": ["fc", "mlp"]}, "slot": {"2": {"structure": "fc"}}}
    space = Space.from_table(table)
    assert "slot1.structure" in space.parameters()
    assert "slot2.structure" not in space.parameters()
    assert space.value({}, "slot2.structure") == "fc"
    assert Space.from_table(space.to_table()) == space


def test_python_and_toml_say_the_same() -> None:
    here = Space(branches=2, branch={"width": Categorical((8, 16))}, slot={2: {"width": 8}})
    assert here == Space.from_table({"branches": 2, "branch": {"width": [8, 16]}, "slot": {"2": {"width": 8}}})
    assert hash(here) == hash(Space.from_table(here.to_table()))


def test_defaults_are_part_of_the_digest_and_the_name_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("branches = 6\n[branch]\nwidth = 32\n")
    assert load_space(file).digest == Space().digest
    assert load_space(file).name == "mine"
    assert Space(version=2).digest != Space().digest
    assert Space(branch={"width": [16, 32]}).digest != Space(branch={"width": [32, 16]}).digest


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("brances = 3", "[brances]: unknown key; nearest: 'branches'"),
        ("branches = 0", "[branches]: must be at least 1"),
        ("branches = 3.5", "[branches]: must be a whole number"),
        ("branches = [1, 2]", "[branches]: must be one fixed number"),
        ("version = 'two'", "[version]: must be a whole number"),
        ("cost_cap = 0", "[cost_cap]: must be above 0 and at most 1, got 0"),
        ("branch = 3", "[branch]: must be a table"),
        ("[branch]\nwdth = 3", "[branch.wdth]: unknown key; nearest: 'width'"),
        ("[branch]\nstructure = ['fc', 'poolfc']", "[branch.structure]: unknown value 'poolfc'; nearest: 'pool_fc'"),
        ("[branch]\ndepth = { low = 0, high = 2 }", "[branch.depth]: must be at least 0 and at most 1, got 2"),
        ("[placement]\nkind = 'gates'", "[placement.kind]: unknown value 'gates'"),
        ("[training]\nloss_weights = ['equal', 'liner']", "[training.loss_weights]: unknown value 'liner'"),
        ("[training]\nlearning_rate = -1.0", "[training.learning_rate]: must be above 0"),
        ("[policy]\ntarget_macs = 0.0", "[policy.target_macs]: must be above 0 and at most 1"),
        ("branches = 2\n[slot.3]\nwidth = 8", "[slot.3]: no such slot; the space has slots 1 to 2"),
        ("[slot.first]\nwidth = 8", "[slot.first]: no such slot"),
        ("[slot.2]\nwdth = 8", "[slot.2.wdth]: unknown key; nearest: 'width'"),
        ("[slot]\nwidth = 8", "[slot.width]: no such slot"),
        ("slot = 2", "[slot]: must hold tables"),
    ],
)
def test_errors_name_file_key_and_nearest(toml: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(toml)
    with pytest.raises(SpecError) as caught:
        load_space(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inside_a_study_file_the_key_starts_with_space() -> None:
    with pytest.raises(SpecError, match=r"study.toml: \[space.branch.wdth\]"):
        specs.from_table(Space, {"branch": {"wdth": 3}}, file="study.toml", key="space")


def test_unknown_names() -> None:
    with pytest.raises(SpecError, match="nearest: 'default'"):
        load_space("defalt")


def test_more_exits_than_cut_points(make_profile: Callable[..., Profile]) -> None:
    check_fitted(Space(branches=3), make_profile([0.2, 0.5, 0.8]))
    with pytest.raises(DesignError, match=r"6 branch slots, stand-in has 2 cut points .*; set branches = 2"):
        check_fitted(Space(branches=6), make_profile([0.2, 0.5, 0.999]))
    with pytest.raises(DesignError, match="no cut point with work behind it"):
        check_fitted(Space(branches=1), make_profile([]))


def test_a_space_has_as_many_slots_as_there_are_cut_points(make_profile: Callable[..., Profile]) -> None:
    profile = make_profile([0.2, 0.5, 0.999])
    space = Space(branches=6, slot={2: {"structure": "fc"}, 5: {"on": False}}, placement={"kind": "gating", "count": 4})
    fitted = fitted_space(space, profile)
    assert (fitted.branches, list(fitted.slot), fitted.placement["count"]) == (2, [2], 2)
    check_fitted(fitted, profile)
    assert fitted_space(Space(branches=2), profile) == Space(branches=2)
    assert Space(branches=3, network={"cascade": True}).within(1) == Space(branches=1), "one branch has none before it"
    with pytest.raises(DesignError, match="no cut point with work behind it"):
        fitted_space(Space(), make_profile([]))


def test_a_family_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from eenas.branches.fc import Fc\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(Fc):\n"
        "    pass\n"
    )
    file = tmp_path / "mine.toml"
    file.write_text("[branch]\nstructure = ['fc', './mine.py:Mine']\nwidth = [8, 16]\n")
    space = load_space(file)
    with pytest.raises(PluginError, match="trust"):
        load_own_code(space, trust_code=False, relative_to=tmp_path)
    load_own_code(space, trust_code=True, relative_to=tmp_path)
    load_own_code(space, trust_code=False)
    assert "slot1.width" in space.parameters()
