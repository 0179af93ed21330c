"""Families by name, branches from tables and sizes, and what is said when they are wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import PRESETS
from eenas.branches.registry import FAMILIES, branch_from_sizes, branch_from_table, family, sizes_of, structures
from eenas.errors import BranchError, PluginError, SpecError
from eenas.testing.branch_contract import check_branch

FAMILY = """
from dataclasses import dataclass
from typing import ClassVar
from torch import nn
from eenas.branches.branch import Branch

@dataclass(frozen=True, kw_only=True)
class Mean(Branch):
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 4
    def build(self, feature_shape, num_classes):
        self.check(feature_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(feature_shape.elements, self.width), nn.ReLU(),
                             nn.Linear(self.width, num_classes))

class Unmarked(Mean):
    pass

@dataclass(frozen=True, kw_only=True)
class Bare(Branch):
    width: int
    def build(self, feature_shape, num_classes): ...

@dataclass(frozen=True, kw_only=True)
class Greedy(Mean):
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers")

@dataclass(frozen=True, kw_only=True)
class Unfinished(Branch):
    pass

@dataclass(frozen=True, kw_only=True)
class Single(Mean):
    sizes = "width"

@dataclass(frozen=True, kw_only=True)
class Wordy(Mean):
    sizes = 3

@dataclass(frozen=True, kw_only=True)
class Long(Branch):
    def build(self, feature_shape, num_classes, dropout): ...

class Foreign:
    pass

number = 3
"""


@given(
    kind=st.sampled_from(sorted(FAMILIES)),
    width=st.integers(1, 512),
    layers=st.integers(1, 5),
    pool=st.sampled_from(["avg", "max", "mixed"]),
)
def test_tables_come_back_and_unused_sizes_are_dropped(kind: str, width: int, layers: int, pool: str) -> None:
    branch = branch_from_sizes(kind, width=width, layers=layers, pool=pool)
    table = json.loads(json.dumps(branch.to_table()))
    assert branch_from_table(table) == branch
    assert hash(branch_from_table(table)) == hash(branch)
    other = {"width": 7, "layers": 6, "pool": "avg"} | {name: getattr(branch, name) for name in branch.sizes}
    again = branch_from_sizes(kind, width=other["width"], layers=other["layers"], pool=other["pool"])
    assert specs.digest(again) == specs.digest(branch)


def test_labels() -> None:
    assert Fc().label() == "fc"
    assert Mlp(width=16).label() == "mlp 16"
    assert ConvStack(width=32, layers=2).label() == "conv_stack 2x32"
    assert PoolFc(pool="mixed").label() == "pool_fc mixed"
    assert ConvPoolFc(width=8, layers=1, pool="max").label() == "conv_pool_fc 1x8 max"


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        ({"kind": "conv_fd"}, BranchError, r"d\.json: \[branches\.0\]: unknown branch structure .* nearest: 'conv_fc'"),
        ({"kind": "conv_fc", "widht": 3}, SpecError, r"\[branches\.0\.widht\]: unknown key; nearest: 'width'"),
        ({"kind": "conv_fc", "width": "wide"}, SpecError, "must be int"),
        (
            {"kind": "conv_fc", "width": 0},
            BranchError,
            r"\[branches\.0\]: .*width must be a whole number of at least 1",
        ),
        ({"kind": "conv_stack", "layers": -1}, BranchError, "layers must be a whole number"),
        ({"kind": "pool_fc", "pool": "mean"}, SpecError, "unknown value 'mean'"),
        ({"kind": "mlp", "dropout": 1.0}, BranchError, "dropout must be a probability"),
        ({"width": 3}, BranchError, "kind of a branch must be one of fc"),
        ([], BranchError, "must be a table"),
        ({"kind": "./mine.py:Head"}, PluginError, "no such file"),
    ],
)
def test_bad_tables_say_where_and_what(table: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        branch_from_table(table, file="d.json", key="branches.0")


def test_values_are_checked_at_birth() -> None:
    with pytest.raises(BranchError, match="width"):
        Mlp(width=True)
    with pytest.raises(BranchError, match="pool must be one of avg, max, mixed"):
        branch_from_sizes("pool_fc", width=1, layers=1, pool="median")
    with pytest.raises(BranchError, match="num_classes must be at least 1"):
        Fc().build(FeatureShape((4,)), 0)


def test_a_family_of_the_user_passes_the_contract(tmp_path: Path) -> None:
    (tmp_path / "head.py").write_text(FAMILY)
    kind = "./head.py:Mean"
    with pytest.raises(PluginError, match="trust"):
        branch_from_sizes(kind, width=5, layers=1, pool="avg", relative_to=tmp_path)
    branch = branch_from_sizes(kind, width=5, layers=1, pool="avg", trust_code=True, relative_to=tmp_path)
    assert branch.to_table() == {"kind": kind, "width": 5}
    assert branch.label() == "Mean 5"
    check_branch(branch, FeatureShape((3, 4, 4)), 3)
    assert branch_from_table(branch.to_table()) == branch, "a trusted family is found again in the same process"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Unmarked", "must be marked @dataclass"),
        ("Bare", "every field of Bare needs a default, 'width' has none"),
        ("Greedy", "sizes must be fields among width, layers, pool, got 'layers'"),
        (
            "Single",
            r"sizes must be a tuple of names of fields among width, layers, pool, got 'width'; write sizes = "
            r'\("width",\)$',
        ),
        ("Wordy", "sizes must be a tuple of names of fields among width, layers, pool, got 3$"),
        (
            "Long",
            r"build must take 2 arguments, build\(self, feature_shape, num_classes\), got "
            r"build\(self, feature_shape, num_classes, dropout\)$",
        ),
        ("Unfinished", "must define build"),
        ("number", r"^\./head.py:number: must be a class derived from eenas.branches.Branch, got 3$"),
        ("Foreign", r"must be a class derived from eenas.branches.Branch, got the class Foreign\(object\)$"),
    ],
)
def test_what_is_no_family_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "head.py").write_text(FAMILY)
    with pytest.raises(BranchError, match=text):
        branch_from_table({"kind": f"./head.py:{name}"}, trust_code=True, relative_to=tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_structure_without_sizes(name: str) -> None:
    branch = branch_from_sizes(name, width=7, layers=3, pool="max")
    assert branch == branch_from_sizes(name, width=8, layers=1, pool="avg") == branch_from_table({"kind": name})
    assert branch_from_table(json.loads(json.dumps(branch.to_table()))) == branch
    assert branch.kind in FAMILIES
    assert sizes_of(name) == ()
    assert family(name, trust_code=True) is type(branch)


def test_structures_are_families_and_presets() -> None:
    assert set(structures()) == {*FAMILIES, *PRESETS}
    assert len(structures()) == len(FAMILIES) + len(PRESETS)
    assert sizes_of("conv_fc") == ("width",)
    assert sizes_of("./mine.py:Head") == ("width", "layers", "pool")
    with pytest.raises(BranchError, match=r"\[b\]: the preset 'sdn' has no keys but kind, got 'pool'; remove it"):
        branch_from_table({"kind": "sdn", "pool": "max"}, key="b")
    with pytest.raises(BranchError, match="nearest: 'msdnet'"):
        family("msdnt")


def test_a_frozen_spec_cannot_be_changed() -> None:
    branch: Branch = Mlp(width=4)
    with pytest.raises(AttributeError):
        branch.width = 5  # type: ignore[attr-defined]
