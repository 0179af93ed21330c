"""Limits: held or missed, by how much, and refused where no network on a backbone can hold them."""

from dataclasses import replace

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.load import load_backbone
from eenas.errors import SpecError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import profile_backbone
from eenas.study.settings.limits import Limits
from eenas.testing.smallest import smallest_backbone
from tests.reporting.studies import BACKBONE, single


@pytest.fixture(scope="module")
def profile():
    backbone = load_backbone(smallest_backbone(), num_classes=4, input_size=8)
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
        ({"max_parameters": 10}, r"max_parameters = 10 cannot be held: the first cut point alone takes .*raise it"),
        ({"max_macs": 1e-4}, "max_macs = 0.0001 cannot be held: the first cut point alone takes"),
        ({"max_worst_latency_ms": 1e-6}, "max_worst_latency_ms = 1e-06 cannot be held"),
        ({"max_worst_macs": 1e-3}, "max_worst_macs = 0.001 cannot be held"),
    ],
)
def test_what_no_network_can_hold_is_refused(profile, limits, said):
    with pytest.raises(SpecError, match=said):
        Limits(**limits).check(profile)


def test_static_networks_have_no_branch_on_the_way_so_that_the_first_cut_point_is_the_least(profile):
    least = profile.share(0, "macs")
    with pytest.raises(SpecError, match=rf"the first cut point alone takes {least:.3g} of the backbone's MACs"):
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
