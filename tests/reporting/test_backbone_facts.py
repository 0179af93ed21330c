"""The rows of `eenas backbone`."""

import json

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import load_backbone
from eenas.measurement.profile import profile_backbone
from eenas.reporting.facts.backbone_facts import backbone_rows, profile_json, shape_text
from eenas.tasks.images.image_input import image_input


@pytest.fixture(scope="module")
def profile():
    backbone = load_backbone("branchynet_lenet", num_classes=10)
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    return profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)


def test_costs_are_cumulative_and_shares_of_the_whole(profile):
    rows = backbone_rows(profile)
    assert [row.name for row in rows] == [point.name for point in profile.cut_points]
    assert [row.macs for row in rows] == sorted(row.macs for row in rows)
    for row in rows:
        assert row.macs_share == pytest.approx(row.macs / profile.total_macs)
        assert row.parameters_share == pytest.approx(row.parameters / profile.total_parameters)


def test_json_holds_rows_and_totals(profile):
    table = json.loads(profile_json(profile, image_input(28, 1), classes=10))
    assert table["macs"] == profile.total_macs
    assert len(table["cut_points"]) == len(profile.cut_points)


def test_shapes_read_as_what_they_are():
    assert shape_text(FeatureShape((256, 8, 4))) == "256 × 8 × 4"
    assert shape_text(FeatureShape((8, 4, 256), channels_last=True)) == "256 × 8 × 4"
    assert shape_text(FeatureShape((197, 192), prefix_tokens=1)) == "197 tokens × 192"
    assert shape_text(FeatureShape((512,))) == "512"
