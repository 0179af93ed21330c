"""The documentation's own cost, its very code: an objective and a limit of a study, a budget, a column and a figure."""

import numpy as np
import optuna
import pytest

import eenas
from eenas.deployment.export import export
from eenas.errors import MeasurementError, PluginError, PolicyError, SpecError, StudyError
from eenas.measurement.costs.spec import cost_class
from eenas.reporting.dashboard.study_page import publish
from eenas.reporting.facts.front_table import front_rows, to_csv, to_table
from eenas.reporting.report.report_page import write_report
from eenas.results.choice import Choice, choose_point
from eenas.results.read import open_results
from eenas.results.rows import point_rows
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.study.settings.limits import Limits
from eenas.study.settings.study_spec import load_settings
from eenas.testing.cost_contract import check_cost
from eenas.testing.smallest import smallest_task
from tests.plugin_page import FILES, write_files
from tests.smallest_study import SETTINGS, backbone

pytestmark = pytest.mark.slow

NAME = "./my_cost.py:Energy"
MORE = (*SETTINGS, "space.branches=2", "space.cost_cap=1.0", "space.branch.on=true", "bank.designs=2")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the documentation's files, as the working folder."""
    folder = tmp_path_factory.mktemp("own cost")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def go(**options):
    options = {"trials": 3, "overrides": MORE, **options}
    return search(
        backbone(), task=smallest_task(), study="energy.toml", space="small", device="cpu", trust_code=True, **options
    )


@pytest.fixture(scope="module")
def results(home):
    return go()


@pytest.fixture(scope="module")
def run(home, results):
    choice = Choice(network=max(results.front, key=lambda item: len(item.design.branches)).name)
    return train(choice=choice, backbone=backbone(), task=smallest_task(), out="run", device="cpu", trust_code=True)


def test_it_passes_its_contract(home):
    own = cost_class(NAME, trust_code=True)
    check_cost(own(watts=4.5))


def test_it_is_an_objective_and_a_limit(results):
    assert results.settings.search.objectives == ("accuracy", "energy")
    assert results.settings.constraints.worst["energy"] == 1000.0
    assert results.cheaper_by == "energy"
    assert results.costs[-1].unit == "mJ"
    assert results.costs[1].provenance == f"composed of parts measured on {results.latency.conditions}"
    for trial in results.trials:
        assert trial.values == (trial.chosen.accuracy, trial.chosen.expected["energy"])
        assert all(point.worst["energy"] >= point.expected["energy"] - 1e-9 for point in trial.points)
    whole = results.backbone.costs["energy"]
    assert whole > 0
    assert all(item.cost_shares["energy"] == item.point.expected["energy"] / whole for item in results.front)
    points = [(item.point.accuracy, *item.point.expected.values()) for item in results.front]
    beaten = [a for a in points for b in points if a != b and b[0] >= a[0] and (np.array(b[1:]) <= a[1:]).all()]
    assert beaten == [], "nothing of the front is beaten in every cost"


def test_energy_is_the_sum_of_prefix_and_branches(results):
    """4.5 W times the milliseconds of the parts: of what runs, without what joins it."""
    item = next(item for item in results.front if item.kind == "static")
    assert 0 < item.point.expected["energy"] <= 4.5 * item.point.expected["latency"] + 1e-9
    assert results.backbone.costs["energy"] == pytest.approx(4.5 * results.latency.median_ms)


def test_it_is_a_column_of_every_table(results):
    rows = front_rows(results)
    assert [cost.word for cost in rows[0].costs] == ["MACs", "latency", "energy"]
    assert all(row.cost("energy").text.endswith(" mJ") for row in rows)
    header = to_csv(rows).splitlines()[0].split(",")
    assert {"energy", "energy_share", "worst_energy", "worst_energy_share"} <= set(header)
    table = to_table(results)
    assert table["hypervolume"]["accuracy_energy"] > 0
    assert table["backbone"]["energy"] == results.backbone.costs["energy"]
    assert [each["name"] for each in table["costs"]] == ["macs", "latency", "energy"]
    (row, *_) = point_rows(results)
    assert {"expected_energy", "energy_share", "worst_energy", "expected_latency_ms"} <= set(row)


def test_a_choice_is_limited_by_it(results):
    most = sorted(item.point.expected["energy"] for item in results.front if item.kind != "plain")[0]
    found = choose_point(results, Choice(limits=Limits(max_energy=most * 1.0001)))
    assert found.point.expected["energy"] <= most * 1.0001
    with pytest.raises(SpecError, match="max_enrgy: limits a cost that is not in this study; nearest: 'max_energy'"):
        eenas.results.choice.choose_design(results, Choice(limits=Limits(max_enrgy=1.0)))


def test_it_is_trained_exported_and_a_budget(run, home):
    read = RunReport.read("run", trust_code=True)
    assert read.costs == run.costs
    assert [exit_.costs["energy"] for exit_ in read.exits] == [exit_.costs["energy"] for exit_ in run.exits]
    assert "energy" in run.reported.expected
    export("model", run="run", backbone=backbone(), data=smallest_task(), format="onnx", trust_code=True)
    card = (home / "model" / "README.md").read_text(encoding="utf-8")
    assert "| energy, mJ |" in card
    assert "Expected energy: " in card
    model = eenas.runtime.load("model", threads=1)
    assert [cost.name for cost in model.manifest.costs] == ["macs", "latency", "energy"]
    assert model.manifest.costs[1].provenance.startswith("measured end to end: CPU")
    energies = [point.expected["energy"] for point in model.manifest.points]
    least = min(energies)
    point = model.set_budget(energy=least * 1.001)
    assert point.expected["energy"] <= least * 1.001
    assert model.policy == point.policy
    assert model.set_budget(macs=2.0, energy=2 * max(energies)).accuracy == max(
        point.accuracy for point in model.manifest.points
    )
    for budget, said in (
        ({"enrgy": 1.0}, "has no cost 'enrgy'; nearest: 'energy'"),
        ({"energy": least / 2}, r"no operating point costs at most \S+ mJ; the nearest costs \S+ mJ"),
        ({"energy": -1.0}, "numbers of at least 0"),
        ({"energy": float("nan")}, "numbers of at least 0"),
        ({"macs": True}, "numbers of at least 0, got .*True"),
    ):
        with pytest.raises(PolicyError, match=said):
            model.set_budget(**budget)
    images = smallest_task().test.images((8, 8), 3, "crop")[np.arange(4)].numpy()
    assert len(model.predict(images).classes) == 4


def test_it_is_a_limit_of_a_calibration(run, home):
    if not (home / "model").exists():
        export("model", run="run", backbone=backbone(), data=smallest_task(), format="onnx", trust_code=True)
    found = eenas.calibrate("model", smallest_task(), limits={"max_energy": 1e6}, threads=1)
    assert "energy" in found.after.expected
    with pytest.raises(PolicyError, match="max_enrgy limits a cost that this model does not have"):
        eenas.calibrate("model", smallest_task(), limits={"max_enrgy": 1.0}, threads=1)


def test_the_report_draws_the_front_over_it(results, run, home):
    write_report("sqlite:///eenas.db", home / "report.html", trust_code=True)
    page = (home / "report.html").read_text(encoding="utf-8")
    assert '<section id="front_energy">' in page
    assert "Accuracy against energy" in page
    assert "worst energy" in page
    assert "by ./my_cost.py:Energy" in page or "power" in page
    place = page.index('<section id="front_energy">')
    assert page.index('<section id="front_latency">') < place < page.index('<section id="leaving">')


def test_the_dashboard_draws_the_front_over_it(results):
    study = optuna.create_study(study_name="shown", storage="sqlite:///shown.db", directions=["maximize", "minimize"])
    notices = []
    publish(results, study, listener=notices.append)
    assert notices == []
    keys = study._storage.get_study_system_attrs(study._study_id)
    assert "dashboard:plot_data:eenas-front_energy:0" in keys


def test_it_resumes_and_belongs_to_the_identity(results, home):
    assert go(trials=3).name == results.name
    other = go(trials=1, overrides=(*MORE, "costs.energy.watts=5.0"))
    assert other.name != results.name
    with pytest.raises(StudyError, match=r"costs\.energy\.watts is 5\.0 and was 4\.5"):
        go(name=results.name, overrides=(*MORE, "costs.energy.watts=5.0"))
    (home / "my_cost.py").write_text(FILES["my_cost.py"] + "\n\n# measured anew\n")
    assert open_results("sqlite:///eenas.db", results.name).costs == results.costs, "no code is needed to read it"


def test_a_study_without_such_costs_is_what_it_was():
    settings, _ = load_settings(backbone="cifar_resnet20")
    assert settings.costs == {}
    assert not settings.names_code


def test_code_runs_only_with_the_user_s_word(home):
    settings, _ = load_settings("energy.toml", backbone="cifar_resnet20")
    assert settings.names_code
    (home / "other.py").write_text(FILES["my_cost.py"])
    overrides = ("costs.energy.kind=./other.py:Energy",)
    with pytest.raises(PluginError, match="trust"):
        search(
            backbone(),
            task=smallest_task(),
            study="energy.toml",
            device="cpu",
            storage="sqlite:///other.db",
            overrides=overrides,
        )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("search.objectives=['accuracy', 'enrgy']",), "unknown value 'enrgy'; nearest: 'energy'"),
        (("constraints.max_enrgy=1.0",), "constraints.max_enrgy: limits a cost that is not in this study; nearest"),
        (("constraints.max_worst_energy=0.0",), "max_worst_energy must be positive"),
        (("costs.macs.kind=linear", "costs.macs.macs=1.0"), "cannot be called 'macs': the name is taken"),
        (("costs.latency.kind=linear", "costs.latency.macs=1.0"), "cannot be called 'latency'"),
        (("costs.accuracy.kind=linear", "costs.accuracy.macs=1.0"), "cannot be called 'accuracy'"),
        (("costs.other.kind=linaer",), "unknown kind of cost 'linaer'"),
    ],
)
def test_settings_that_cannot_be(home, overrides, said):
    with pytest.raises(SpecError, match=said):
        load_settings("energy.toml", backbone="cifar_resnet20", overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (("costs.energy.watts=-1.0",), MeasurementError, "must cost a finite number from 0 up"),
        (("constraints.max_worst_energy=1e-9",), SpecError, "max_worst_energy = 1e-09 cannot be met: .* mJ; raise it"),
        (
            ("costs.other.kind=linear", "costs.other.macs=1.0", "costs.other.unit=<b>"),
            SpecError,
            "costs.other: the unit",
        ),
    ],
)
def test_costs_that_cannot_be_are_refused_before_anything_is_trained(home, overrides, error, said):
    with pytest.raises(error, match=said):
        go(storage="sqlite:///refused.db", overrides=(*MORE, *overrides))
