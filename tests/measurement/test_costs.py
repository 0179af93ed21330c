"""Costs of a study's own: the formula, the measured table, a user's class, and what each refuses."""

import pytest

from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError, PluginError, SpecError
from eenas.measurement.costs.linear import LinearCost
from eenas.measurement.costs.measured_table import TableCost
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.costs.spec import COSTS, CostSpec, code_of
from eenas.measurement.profile import BranchCost
from eenas.testing.cost_contract import made_up_profile

PROFILE = made_up_profile()
BRANCH = BranchCost(macs=1_000, parameters=50, latency=PROFILE.latency_ms[0])
SHAPE = FeatureShape((8, 4, 4))
CODE = """
from dataclasses import dataclass
from eenas.measurement.costs.cost import Cost

@dataclass(frozen=True, kw_only=True)
class Energy(Cost):
    unit = "mJ"
    watts: float

    def prefixes(self, profile):
        return [self.watts * each.median_ms for each in (*profile.latency_ms, profile.total_latency)]

    def branch(self, branch, shape, profile):
        return self.watts * branch.latency.median_ms

class NotFrozen(Cost):
    pass

@dataclass(frozen=True, kw_only=True)
class Half(Cost):
    def prefixes(self, profile):
        return []

@dataclass(frozen=True, kw_only=True)
class Failing(Cost):
    def prefixes(self, profile):
        raise RuntimeError("no wattmeter\\nfound")

    def branch(self, branch, shape, profile):
        return 0.0

@dataclass(frozen=True, kw_only=True)
class Leaving(Failing):
    def prefixes(self, profile):
        raise SystemExit(3)

def function():
    pass
"""


def test_a_formula_adds_up_what_it_weighs():
    cost = LinearCost(unit="mJ", constant=1.0, macs=0.001, latency=2.0, parameters=0.01, feature_bytes=0.5)
    first, last = cost.prefixes(PROFILE)[0], cost.prefixes(PROFILE)[-1]
    assert first == pytest.approx(1.0 + 1.0 + 2.0 * 0.5 + 0.01 * 100 + 0.5 * 4 * 8 * 4 * 4)
    assert last == pytest.approx(1.0 + 10.0 + 2.0 * 2.5 + 0.01 * 1_000), "the final exit has no feature"
    assert cost.branch(BRANCH, SHAPE, PROFILE) == pytest.approx(1.0 + 2.0 * 0.5 + 0.01 * 50)
    assert cost.provenance == ("formula: 1 + 0.001 x MACs + 2 x ms + 0.01 x parameters + 0.5 x bytes of the feature")


def test_bytes_to_send_may_fall_along_the_backbone():
    sent = OwnCost.of("bytes_sent", LinearCost(unit="B", feature_bytes=1.0), PROFILE)
    assert sent.prefixes == (512.0, 256.0, 256.0, 128.0, 0.0)
    assert sent.branch(BRANCH, SHAPE) == 0.0


def test_what_a_formula_cannot_know_is_refused():
    untimed = BranchCost(macs=1, parameters=1)
    with pytest.raises(MeasurementError, match="needs that of every branch"):
        LinearCost(latency=1.0).branch(untimed, SHAPE, PROFILE)
    from dataclasses import replace

    with pytest.raises(MeasurementError, match="needs measured latencies"):
        LinearCost(latency=1.0).prefixes(replace(PROFILE, latency_ms=(), total_latency=None))
    for wrong in ({"macs": -1.0}, {"macs": float("nan")}, {"constant": 1.0}, {}):
        with pytest.raises(SpecError, match="weight"):
            LinearCost(**wrong)


@pytest.mark.parametrize("name", ["energy.csv", "energy.toml"])
def test_a_table_is_read_beside_the_study_file(tmp_path, name):
    rows = {"block1": 1, "block2": 4.5, "block3": 2, "block4": 8, "elsewhere": 3, "final": 10}
    lines = ["cut_point,value,comment", *(f"{key},{value},x" for key, value in rows.items())]
    text = "\n".join(lines) if name.endswith("csv") else "\n".join(f'"{key}" = {value}' for key, value in rows.items())
    (tmp_path / name).write_text(text + "\n")
    spec = CostSpec.from_table({"kind": "table", "unit": "mJ", "file": name})
    cost = spec.read("energy", folder=tmp_path)
    assert list(cost.prefixes(PROFILE)) == [1.0, 4.5, 2.0, 8.0, 10.0]
    assert cost.branch(BRANCH, SHAPE, PROFILE) == pytest.approx(10 * 1_000 / 10_000)
    assert cost.provenance == f"a measured table ({name})"
    kept = CostSpec.from_table(spec.located(cost).to_table())
    assert kept.read("energy") == cost, "a record needs no file beside it"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "cut_point,value\nfinal,1\nfinal,2\n", "'final' occurs twice"),
        ("t.csv", "cut_point,value\nfinal,much\n", "value at 'final' must be a number, got 'much'"),
        ("t.csv", "cut_point,value\nfinal,nan\n", "value at 'final' must be a number from 0 up, got nan"),
        ("t.csv", "cut_point,value\nfinal,-1\n", "must be a number from 0 up, got -1.0"),
        ("t.csv", "place,value\nfinal,1\n", "needs a header with the columns cut_point and value"),
        ("t.csv", "", "needs a header"),
        ("t.csv", "cut_point,value\nblock1,1\n", "needs a row 'final'"),
        ("t.toml", "final = 'much'\n", "must be a number from 0 up, got 'much'"),
        ("t.toml", "final = \n", "t.toml"),
    ],
)
def test_tables_that_are_none(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=said) as error:
        CostSpec(kind="table", fields={"file": name}).read("energy", folder=tmp_path)
    assert "\n" not in str(error.value)


def test_a_cut_point_without_a_row_is_named():
    with pytest.raises(MeasurementError, match="no row for the cut point 'block2'; nearest: 'block1'"):
        TableCost(values={"block1": 1.0, "final": 2.0}).prefixes(PROFILE)
    with pytest.raises(SpecError, match="no such file"):
        CostSpec(kind="table", fields={"file": "gone.csv"}).read("energy")
    for wrong in ({}, {"file": "a.csv", "values": {"final": 1.0}}, {"file": "a.xlsx"}):
        with pytest.raises(SpecError):
            TableCost(**wrong)


def test_a_class_of_one_s_own(tmp_path, monkeypatch):
    monkeypatch.setattr(COSTS, "_trusted", {})
    (tmp_path / "my_cost.py").write_text(CODE)
    spec = CostSpec.from_table({"kind": "./my_cost.py:Energy", "watts": 3.0})
    with pytest.raises(PluginError, match="trust"):
        spec.read("energy", folder=tmp_path)
    cost = spec.read("energy", trust_code=True, folder=tmp_path)
    assert spec.read("energy") == cost, "a trusted class is found again in the same process"
    found = OwnCost.of("energy", cost, PROFILE)
    assert found.prefixes == (1.5, 3.0, 4.5, 6.0, 7.5)
    assert (found.unit, found.provenance) == ("mJ", "by ./my_cost.py:Energy")
    assert len(code_of(cost)) == 16
    assert spec.to_table() == {"kind": "./my_cost.py:Energy", "watts": 3.0}
    with pytest.raises(SpecError, match=r"\[costs.energy.volts\]: unknown key; known: 'watts'"):
        CostSpec(kind="./my_cost.py:Energy", fields={"volts": 3.0}).read("energy", trust_code=True, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotFrozen", "must be marked @dataclass"),
        ("Half", "Half must define branch$"),
        ("function", "must be a class derived from eenas.measurement.Cost, got "),
    ],
)
def test_classes_that_are_no_costs(tmp_path, name, said):
    (tmp_path / "my_cost.py").write_text(CODE)
    with pytest.raises(MeasurementError, match=said):
        CostSpec(kind=f"./my_cost.py:{name}").read("energy", trust_code=True, folder=tmp_path)


@pytest.mark.parametrize(
    ("value", "said"), [("{0: 1.0}", r"got \{0: 1.0"), ("'1234'", "got 4"), ("None", "got None"), ("3.0", "got 3.0")]
)
def test_prefixes_that_are_no_sequence_of_numbers(tmp_path, value, said):
    (tmp_path / "my_cost.py").write_text(CODE.replace('raise RuntimeError("no wattmeter\\nfound")', f"return {value}"))
    cost = CostSpec(kind="./my_cost.py:Failing").read("energy", trust_code=True, folder=tmp_path)
    with pytest.raises(MeasurementError, match=rf"costs.energy \(./my_cost.py:Failing\): prefixes must be .* {said}"):
        OwnCost.of("energy", cost, PROFILE)


def test_code_that_fails_is_named(tmp_path):
    (tmp_path / "my_cost.py").write_text(CODE)
    for name, reason in (("Failing", "RuntimeError: no wattmeter$"), ("Leaving", "SystemExit: 3$")):
        cost = CostSpec(kind=f"./my_cost.py:{name}").read("energy", trust_code=True, folder=tmp_path)
        with pytest.raises(MeasurementError, match=rf"costs.energy \(./my_cost.py:{name}\): its code failed: {reason}"):
            OwnCost.of("energy", cost, PROFILE)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "liner"}, "unknown kind of cost 'liner'; nearest: 'linear'"),
        ({}, "needs a kind"),
        ({"kind": 3}, "needs a kind"),
        ("energy", "must be a table"),
        ({"kind": "linear", "maccs": 1.0}, r"\[costs.energy.maccs\]: unknown key; nearest: 'macs'"),
        ({"kind": "linear", "macs": "many"}, "must be float"),
        ({"kind": "linear"}, "needs a weight above 0"),
    ],
)
def test_tables_in_a_study_file_that_are_no_costs(table, said):
    with pytest.raises(SpecError, match=said):
        CostSpec.from_table(table, file="study.toml", key="costs.energy")
