"""The settings of a study: budgets that are not given, and overrides of them."""

import pytest

from eenas.errors import SpecError
from eenas.specs import from_table, to_table
from eenas.study.settings.limits import Limits
from eenas.study.settings.study_spec import StudySpec, load_settings

DEFAULTS = (("training", 1), ("full_training", 30), ("prepare.training", 7))


def read(settings, path):
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize(("path", "epochs"), DEFAULTS)
def test_a_training_keeps_its_default_budget_when_another_key_is_set(tmp_path, path, epochs):
    found, _ = load_settings(backbone="resnet50", overrides=[f"{path}.batch_size=8"])
    assert (read(found, path).epochs, read(found, path).batch_size) == (epochs, 8)
    (tmp_path / "study.toml").write_text(f"[{path}]\nwarmup = 0.2\n")
    found, _ = load_settings(tmp_path / "study.toml", backbone="resnet50")
    assert (read(found, path).epochs, read(found, path).warmup) == (epochs, 0.2)


@pytest.mark.parametrize("path", [path for path, _ in DEFAULTS])
@pytest.mark.parametrize("unit", ["samples", "seconds"])
def test_a_budget_in_another_unit_takes_the_place_of_the_default(path, unit):
    found = read(load_settings(backbone="resnet50", overrides=[f"{path}.{unit}=9", f"{path}.batch_size=8"])[0], path)
    assert (getattr(found, unit), found.epochs, found.batch_size) == (9, None, 8)


def test_a_training_of_its_own_needs_a_budget():
    with pytest.raises(SpecError, match=r"\[bank.training\]: exactly one of epochs, samples and seconds must be given"):
        load_settings(backbone="resnet50", overrides=["bank.training.batch_size=8"])


def test_settings_that_are_written_are_read_back():
    settings, _ = load_settings(backbone="resnet50", overrides=["training.batch_size=8"])
    assert from_table(StudySpec, to_table(settings)) == settings


def test_the_paths_of_flags_are_those_of_the_working_folder(tmp_path, monkeypatch):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
        for name in ("train.tsv", "net.py", "a.safetensors"):
            (folder / name).write_text("")
    (there / "only.tsv").write_text("")
    (there / "study.toml").write_text('[task]\nspec = "text:train.tsv"\n')
    monkeypatch.chdir(here)
    found, _ = load_settings("../there/study.toml", backbone="./net.py:make", weights="a.safetensors")
    assert (found.task.spec, found.backbone.name) == ("text:train.tsv", f"{here / 'net.py'}:make")
    assert found.backbone.weights == str(here / "a.safetensors")
    for given, expected in (
        ("text:train.tsv", f"text:{here / 'train.tsv'}"),
        ("text:only.tsv", "text:only.tsv"),
        ("digits", "digits"),
        ("text:", "text:"),
    ):
        assert load_settings("../there/study.toml", backbone="resnet50", task=given)[0].task.spec == expected
    monkeypatch.chdir(there)
    assert load_settings("study.toml", backbone="r", task="text:train.tsv")[0].task.spec == "text:train.tsv"


@pytest.mark.parametrize("key", ["space.version", "backbone.name", "seed"])
def test_a_budget_below_a_value_is_refused_in_one_line(key):
    with pytest.raises(SpecError) as error:
        load_settings(backbone="resnet50", overrides=["seed=3", f"{key}.epochs=3"])
    assert key.rpartition(".")[2] in str(error.value)
    assert "\n" not in str(error.value)


def test_limits_on_macs_in_per_cent_are_refused_where_they_are_given_and_read_where_they_were():
    given = ("constraints.max_macs=20",)
    with pytest.raises(SpecError, match=r"max_macs is a share .*, got 20; give 0.2 for 20 %"):
        load_settings(backbone="cifar_resnet20", overrides=given)
    load_settings(backbone="cifar_resnet20", overrides=("constraints.max_worst_macs=1.1",))
    assert Limits(max_macs=20).max_macs == 20  # as an earlier version took it


def test_a_study_without_costs_of_its_own_writes_what_it_wrote_before_there_were_any():
    settings, _ = load_settings(backbone="cifar_resnet20")
    assert "costs" not in to_table(settings)
    assert from_table(StudySpec, to_table(settings)) == settings
    energy, _ = load_settings(backbone="cifar_resnet20", overrides=('costs.energy={kind="linear", macs=1e-6}',))
    assert to_table(energy)["costs"] == {"energy": {"kind": "linear", "macs": 1e-6}}
    assert from_table(StudySpec, to_table(energy)) == energy


def test_settings_are_a_value_that_shortcuts_override():
    spec, _ = load_settings(backbone="resnet50", space="small", overrides=["latency.batch=2", "task.spec=digits"])
    again, folder = load_settings(spec)
    assert (again, folder) == (spec, None)
    other, _ = load_settings(spec, backbone="cifar_resnet20", trials=3, seed=5, overrides=["space.branches=1"])
    assert (other.backbone.name, other.search.trials, other.seed, other.space.branches) == ("cifar_resnet20", 3, 5, 1)
    assert other.latency == spec.latency


def test_set_takes_the_name_of_a_space_as_the_study_file_does():
    named, _ = load_settings(backbone="cifar_resnet20", space="small")
    again, _ = load_settings(backbone="cifar_resnet20", overrides=["space=small"])
    changed, _ = load_settings(backbone="cifar_resnet20", overrides=["space=small", "space.branches=1"])
    assert again.space == named.space
    assert (changed.space.branches, changed.space.branch) == (1, named.space.branch)
    with pytest.raises(SpecError, match=r"smal.*no such file"):
        load_settings(backbone="cifar_resnet20", overrides=["space=smal"])
