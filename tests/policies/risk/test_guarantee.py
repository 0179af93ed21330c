"""The guarantee as text and as data, inside an operating point."""

import json
from dataclasses import replace

import pytest

from eenas.errors import PolicyError, SpecError
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.risk.guarantee import Guarantee
from tests.policies.tables import random_table

GUARANTEE = Guarantee(max_risk=0.01, confidence=0.95, loss="gap", method="binomial", samples=4000)


def test_it_is_one_sentence():
    assert GUARANTEE.sentence() == (
        "With 95 % probability, the answer is wrong where the final exit is right on at most 1.00 % of data like the "
        "calibration data (fixed-sequence testing with exact binomial tests, 4,000 samples)."
    )


def test_an_operating_point_keeps_it_and_older_points_have_none():
    point = evaluate(ThresholdPolicy(score="margin", temperatures=(1,) * 4, thresholds=(0.5,) * 3), random_table())
    assert "guarantee" not in point.to_table()
    certified = replace(point, guarantee=GUARANTEE)
    assert OperatingPoint.from_table(json.loads(json.dumps(certified.to_table()))) == certified
    assert OperatingPoint.from_table(point.to_table()).guarantee is None


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"samples": 0}, PolicyError, "must be a positive number, got 0"),
        ({"confidence": None}, PolicyError, "by binomial cannot have the confidence None"),
        ({"confidence": 95}, PolicyError, "0.95 is 95 %"),
        ({"max_risk": 1e-310}, PolicyError, "must be a number between 0 and 1"),
        ({"loss": ["gap"]}, PolicyError, "unknown value"),
        ({"method": "magic"}, PolicyError, "unknown value 'magic'"),
        ({"certified": "yes"}, PolicyError, "must be true or false"),
        ({"sample": 5}, SpecError, "sample"),
    ],
)
def test_damaged_values_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        Guarantee.from_table({**GUARANTEE.to_table(), **change})
