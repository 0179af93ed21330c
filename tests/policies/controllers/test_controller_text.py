"""Controllers as texts of the command line."""

import pytest

from eenas.errors import EenasError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("adaee", AdaEE()),
        (
            "adaee,overhead=0.2,thresholds=[0.5, 0.9], index=ucb_v",
            AdaEE(overhead=0.2, thresholds=(0.5, 0.9), index="ucb_v"),
        ),
        ("adaee,share=none,c=1", AdaEE(share=None, c=1.0)),
        ("fixed,thresholds=0.8", FixedThresholds(thresholds=(0.8,))),
        ("drift_guard,hold=50", DriftGuard(hold=50)),
        (
            "drift_guard,controller=fixed,controller.thresholds=0.8",
            DriftGuard(controller=FixedThresholds(thresholds=(0.8,))),
        ),
        ("drift_guard,controller.overhead=0.3", DriftGuard(controller=AdaEE(overhead=0.3))),
    ],
)
def test_a_text_is_a_kind(text, kind):
    assert controller_from_text(text) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a text of 1 to 10,000 characters"),
        ("adaee,overhed=1", "nearest: 'overhead'"),
        ("adaee,overhead", "must read NAME,key=value"),
        ("adaee,=3", "must read NAME,key=value"),
        ("adaee,overhead=0.1,overhead=0.2", "given twice"),
        ("adaee,overhead=high", "overhead must be a number"),
        ("adaee,overhead.x=1", "overhead"),
        ("adaee,overhead=1,overhead.x=1", "is given as a value, too"),
        ("adaee,thresholds=[0.5", "increasing|number"),
        ("adea", "nearest: 'adaee'"),
        ("drift_guard,controller=drift_guard", "of another kind"),
    ],
)
def test_a_wrong_text_is_refused(text, message):
    with pytest.raises(EenasError, match=message):
        controller_from_text(text)
