"""The names of what can be named: every one of them can be used, and patterns choose among them."""

import pytest

import eenas
from eenas.branches.registry import structures
from eenas.designs.space import Space
from eenas.errors import EenasError
from eenas.handle.lists import LISTS
from eenas.measurement.costs.spec import CostSpec
from eenas.measurement.latency import LatencySpec
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.spec import TaskSpec

NAMED = {
    "branches": lambda name: Space(branch={"structure": name}),
    "placements": lambda name: Space(placement={"kind": name}),
    "strategies": lambda name: Space(training={"strategy": name}),
    "policies": lambda name: Space(policy={"kind": name}),
    "runtimes": lambda name: LatencySpec(runtime=name),
    "costs": lambda name: CostSpec(kind=name),
    "distortions": lambda name: DistortionsSpec(kinds=(name,)),
}


@pytest.mark.parametrize("kind", NAMED)
def test_every_name_can_be_used_and_no_other(kind):
    names = LISTS[kind]("")
    assert len(names) >= 2
    for name in names:
        NAMED[kind](name)
    with pytest.raises(EenasError, match="unknown"):
        NAMED[kind]("none")


def test_each_list_is_public():
    assert {f"list_{kind}" for kind in LISTS} == {name for name in eenas.__all__ if name.startswith("list_")}
    assert all(getattr(eenas, f"list_{kind}") is names for kind, names in LISTS.items())
    assert all(all(isinstance(name, str) for name in names("")) for names in LISTS.values())


def test_backbones_are_those_of_timm_torchvision_and_eenas():
    names = eenas.list_backbones()
    assert {"cifar_resnet20", "resnet50", "torchvision:resnet18"} <= set(names)
    assert len(names) == len(set(names)) > 500


def test_a_pattern_chooses():
    assert eenas.list_backbones("cifar_resnet2*") == ["cifar_resnet20"]
    assert eenas.list_branches("*conv*") == [name for name in structures() if "conv" in name]
    assert eenas.list_branches(["fc", "mlp"]) == ["fc", "mlp"]
    assert eenas.list_policies("patience*", exclude_filters="*confidence") == ["patience"]
    assert eenas.list_policies(exclude_filters=["*_*", "[pve]*", "reinforce"]) == ["threshold"]
    assert eenas.list_tasks("nothing*") == []


def test_tasks_are_named_as_they_are_given():
    assert "digits" in eenas.list_tasks()
    for name in eenas.list_tasks():
        TaskSpec(spec=name)
