"""Controllers by name: settings from tables, the nearest known key, and kinds of the user's own."""

import pytest

from eenas.errors import PluginError, PolicyError, SpecError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.registry import CONTROLLERS, controller_from_table, controller_of

OWN = """
from dataclasses import dataclass
from eenas.policies.controllers import AdaEE

class Loose(AdaEE):
    pass

@dataclass(frozen=True, kw_only=True)
class Mine(AdaEE):
    more: int = 3
"""


def test_tables_become_kinds():
    assert controller_from_table({"kind": "adaee"}) == AdaEE()
    assert controller_from_table({"kind": "adaee", "thresholds": [0.5, 0.9], "index": "ucb_v"}) == AdaEE(
        thresholds=(0.5, 0.9), index="ucb_v"
    )
    assert controller_from_table({"kind": "fixed", "thresholds": 0.8}) == FixedThresholds(thresholds=(0.8,))
    assert controller_from_table({"kind": "fixed", "thresholds": None}) == FixedThresholds(thresholds=(None,))
    assert controller_from_table({"kind": "drift_guard", "safe": None}) == DriftGuard()
    nested = {"kind": "drift_guard", "hold": 20, "safe": 0.9, "controller": {"kind": "fixed"}}
    assert controller_from_table(nested) == DriftGuard(controller=FixedThresholds(), hold=20, safe=(0.9,))
    assert controller_of("drift_guard", {"controller": AdaEE(c=0.2)}) == DriftGuard(controller=AdaEE(c=0.2))
    assert controller_of("adaee", {"thresholds": (0.1, 0.2)}) == AdaEE(thresholds=(0.1, 0.2))
    for kind in CONTROLLERS:
        built = controller_from_table({"kind": kind})
        assert controller_from_table(built.to_table()) == built


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"kind": "adaee", "overhed": 0.2}, SpecError, "adaee.overhed.: unknown key; nearest: 'overhead'"),
        (
            {"kind": "drift_guard", "controller": {"kind": "adaee", "wndow": 9}},
            SpecError,
            "controller.wndow.: unknown key; nearest: 'window'",
        ),
        ({"kind": "adae"}, PolicyError, "unknown kind of controller 'adae'; nearest: 'adaee'"),
        ({"kind": 3}, PolicyError, "kind must be the name of a controller"),
        ({}, PolicyError, "kind must be the name of a controller"),
        ({"kind": "./none.py:X"}, PluginError, "none.py"),
        ({"kind": "drift_guard", "controller": 3}, PolicyError, "needs a controller of another kind"),
    ],
)
def test_what_is_unknown_is_named_with_the_nearest(table, error, message):
    with pytest.raises(error, match=message):
        controller_from_table(table)


def test_a_kind_of_the_users_own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    kind = controller_of(f"{tmp_path}/own.py:Mine", {"more": 4}, trust_code=True)
    assert kind.more == 4
    assert kind.to_table()["kind"] == f"{tmp_path}/own.py:Mine"
    for name, message in (("Loose", "must be marked @dataclass"), ("dataclass", "must be a class derived from")):
        with pytest.raises(PolicyError, match=message):
            controller_of(f"{tmp_path}/own.py:{name}", {}, trust_code=True)


def test_settings_belong_to_a_name():
    with pytest.raises(PolicyError, match="adaee has its own settings"):
        controller_of(AdaEE(), {"c": 1.0})
    with pytest.raises(PolicyError, match="a controller is a name"):
        controller_of(3, {})
