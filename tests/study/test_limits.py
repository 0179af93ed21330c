"""Limits: held or missed, by how much, and refused where no network on a backbone can hold them."""

from dataclasses import replace

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.errors import SpecError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import profile_backbone
from eenas.study.settings.limits import Limits, amount
from tests.reporting.studies import BACKBONE, single
from tests.smallest_networks import loaded


@pytest.fixture(scope="module")
def profile():
    backbone = loaded()
    chain = Chain.built_from(backbone.module.eval(), backbone.example(), [p.name for p in backbone.cut_points])
    spec = LatencySpec(seconds=0.01, min_repeats=2, warmup=1, runtime="torch")
    return profile_backbone(backbone, chain, device=torch.device("cpu"), latency=spec)


def found(limits, accuracy=0.9, share=0.5, branches=2, parameters=1000):
    point = single(accuracy, share)
    return limits.violations(point, backbone_macs=BACKBONE.macs, branches=branches, parameters=parameters)


def test_violations_are_in_the_unit_of_the_limit():
    limits = Limits(
        min_accuracy=0.95,
        max_macs=0.4,
        max_worst_macs=0.6,
        max_latency_ms=2.0,
        max_worst_latency_ms=3.0,
        max_parameters=900,
        max_branches=2,
    )
    assert found(limits) == pytest.approx(
        {
            "min_accuracy": 0.05,
            "max_macs": 0.1,
            "max_worst_macs": -0.1,
            "max_latency_ms": 0.6,
            "max_worst_latency_ms": -0.4,
            "max_parameters": 100,
            "max_branches": 0,
        }
    )
    assert found(Limits()) == {}
    assert found(Limits(max_parameters=5), parameters=None) == {"max_parameters": float("inf")}, "nobody knows"
    assert limits.distance(found(limits)) == pytest.approx(0.05 / 0.95 + 0.1 / 0.4 + 0.6 / 2 + 100 / 900)
    assert not Limits()
    assert limits


def test_of_two_limits_the_stricter_one_counts():
    one = Limits(min_accuracy=0.9, max_macs=0.5)
    other = Limits(min_accuracy=0.8, max_macs=0.4, max_branches=3)
    assert one.and_also(other) == Limits(min_accuracy=0.9, max_macs=0.4, max_branches=3)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            {"max_parameters": 10},
            r"max_parameters = 10 cannot be met: the part up to the first cut point has .*raise it",
        ),
        ({"max_macs": 1e-4}, "max_macs = 0.0001 cannot be met: even ending at the first cut point takes"),
        ({"max_worst_latency_ms": 1e-6}, "max_worst_latency_ms = 1e-06 cannot be met"),
        ({"max_worst_macs": 1e-3}, "max_worst_macs = 0.001 cannot be met"),
    ],
)
def test_what_no_network_can_hold_is_refused(profile, limits, said):
    with pytest.raises(SpecError, match=said):
        Limits(**limits).check(profile)


def test_static_networks_have_no_branch_on_the_way_so_that_the_first_cut_point_is_the_least(profile):
    least = profile.share(0, "macs")
    with pytest.raises(
        SpecError, match=rf"even ending at the first cut point takes {least:.3g} of the backbone's MACs"
    ):
        Limits(max_branches=0, max_macs=least / 2).check(profile)
    Limits(max_branches=0, max_macs=least).check(profile)


def test_the_plain_backbone_is_named_where_it_is_quicker_than_every_prefix(profile):
    quick = replace(profile, plain_latency=replace(profile.plain_latency, median_ms=1e-5))
    assert quick.total_latency.median_ms > 1e-5, "the module as the user runs it, not the chain of its segments"
    with pytest.raises(SpecError, match="even the plain backbone takes 1e-05 ms for a sample; raise it"):
        Limits(max_latency_ms=1e-6).check(quick)


def test_what_some_network_can_hold_is_not(profile):
    Limits(max_parameters=profile.total_parameters - 1, max_worst_macs=0.9, max_branches=0).check(profile)


@pytest.mark.parametrize("wrong", [{"min_accuracy": 1.2}, {"max_branches": -1}, {"max_latency_ms": 0.0}])
def test_impossible_values_are_refused_at_birth(wrong):
    with pytest.raises(SpecError, match="got"):
        Limits(**wrong)


def test_a_cost_of_the_study_s_own_is_limited_in_its_unit():
    point = replace(single(0.9, 0.5), expected={"macs": 1.0, "energy": 2.0}, worst={"macs": 1.0, "energy": 4.0})
    limits = Limits(max_energy=1.5, max_worst_energy=5.0, max_worst_bytes_sent=3.0)
    found = limits.violations(point, backbone_macs=10.0, branches=0, parameters=1)
    assert found == {"max_worst_bytes_sent": float("inf"), "max_energy": 0.5, "max_worst_energy": -1.0}
    assert (limits.expected, limits.worst) == ({"energy": 1.5}, {"bytes_sent": 3.0, "energy": 5.0})
    assert amount("max_energy", 0.5, {"energy": "mJ"}) == "0.5 mJ"
    assert amount("max_energy", 0.5) == "0.5"
    assert amount("max_bytes_sent", 3000.0, {"bytes_sent": "B"}) == "3,000 B"
    assert amount("max_energy", 999.7, {"energy": "mJ"}) == "1,000 mJ"
    limits.check_costs(("macs", "latency", "energy", "bytes_sent"))
    with pytest.raises(SpecError, match="max_worst_bytes_sent: limits a cost that is not in this study; nearest"):
        limits.check_costs(("macs", "latency", "energy"))


def test_what_no_network_can_hold_of_such_a_cost_is_refused(profile):
    energy = [4.0, 2.0, *(5.0 for _ in profile.cut_points[2:]), 9.0]
    Limits(max_energy=2.0).check(profile, others={"energy": (energy, "mJ")})
    with pytest.raises(SpecError, match=f"even ending at {profile.cut_points[1].name} takes 2 mJ; raise it"):
        Limits(max_energy=1.5).check(profile, others={"energy": (energy, "mJ")})
    with pytest.raises(SpecError, match="max_energy is set, but energy is not measured in this study"):
        Limits(max_energy=1.5).check(profile)


def test_names_that_are_no_limits_are_refused():
    assert Limits(max_latency=3.0) == Limits(max_latency_ms=3.0)
    assert Limits(max_macs=0.5, min_accuracy=None).to_table() == {"max_macs": 0.5}
    assert Limits(max_macs=0.5).max_macs == 0.5
    assert Limits().max_energy is None
    for name in ("macs", "max_Energy", "min_energy", "max_worst_", "max_"):
        with pytest.raises(SpecError, match="unknown key"):
            Limits(**{name: 1.0})
    for table, said in (
        ({"max_energy": "much"}, "max_energy must be float, got 'much'"),
        ({"max_energy": float("nan")}, "max_energy must be positive, got nan"),
        ({"max_branches": 1.5}, "max_branches must be int"),
        ({"max_macs": True}, "max_macs must be float"),
        ({"..x": {}}, "unknown key '..x'"),
        ({"mx_macs": []}, "unknown key 'mx_macs'"),
        ({"mx_macs": ""}, "unknown key 'mx_macs'"),
        ({"mx_macs": 1.0}, r"\[constraints\]: unknown key 'mx_macs'; nearest: 'max_macs'"),
        ([1.0], "must be a table"),
    ):
        with pytest.raises(SpecError, match=said):
            Limits.from_table(table, key="constraints")


def test_limits_come_back_from_their_table_in_their_order():
    limits = Limits(max_branches=2, max_worst_energy=1.0, max_energy=1.0, max_macs=0.5, min_accuracy=0.9)
    assert list(limits.to_table()) == ["min_accuracy", "max_macs", "max_energy", "max_worst_energy", "max_branches"]
    assert Limits.from_table(limits.to_table()) == limits
    assert hash(Limits.from_table(limits.to_table())) == hash(limits)
