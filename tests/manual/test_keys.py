"""Every key of a file has a type, a default and a meaning, and is found by its name."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from eenas import shipped
from eenas.errors import SpecError
from eenas.manual.field_meanings import field_meanings
from eenas.manual.keys import KeyText, find_keys, keys
from eenas.shipped import Kind
from eenas.study.settings.limits import LIMITS, Limits
from eenas.training.spec import TrainingSpec

FILES = [(kind, name) for kind in get_args(Kind) for name in shipped.names(kind)]


def named(found: tuple[KeyText, ...]) -> list[str]:
    return [f"{each.file}:{each.key}" for each in found]


def paths(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from paths(value, f"{prefix}{name}.")


@pytest.mark.parametrize("each", keys(), ids=lambda each: f"{each.file}:{each.key}:{each.note}")
def test_every_key_says_what_it_means(each: KeyText) -> None:
    assert each.type
    assert each.type != "any value"
    assert each.meaning.endswith(".")
    assert each.default or each.type == "table"


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_every_key_of_a_shipped_file_is_there(kind: Kind, name: str) -> None:
    table = tomllib.loads(shipped.find(kind, name).read_text(encoding="utf-8"))
    file = {"search_spaces": "space", "studies": "study", "dashboards": "dashboard"}[kind]
    values = ("low", "high", "log", "step")
    for path in paths(table):
        if path.rpartition(".")[2] not in values and not path.startswith("costs.energy.values."):
            assert any(each.file == file for each in find_keys(path)), path


def test_defaults_are_those_of_the_study_and_not_of_the_class() -> None:
    assert {each.key: each.default for each in find_keys("epochs") if each.file == "study"} == {
        "training.epochs": "1",
        "full_training.epochs": "30",
        "baselines.training.epochs": "not set",
        "prepare.training.epochs": "7",
        "bank.training.epochs": "not set",
    }


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("search.trials", "study:search.trials"),
        ("sampler", "study:search.sampler"),
        ("[latency]", "study:latency"),
        ("tiers.edge.link.mbit", "study:tiers.NAME.link.mbit"),
        ("slot.3.width", "space:slot.N.width"),
        ("constraints.max_worst_energy", "study:constraints.max_worst_NAME"),
        ("constraints.max_macs", "study:constraints.max_macs"),
        ("panels", "dashboard:panels"),
    ],
)
def test_a_key_is_found_by_its_name_its_end_or_with_a_chosen_name(asked: str, first: str) -> None:
    assert first in named(find_keys(asked))


def test_a_table_gives_all_its_keys() -> None:
    assert named(find_keys("bank"))[:3] == ["study:bank", "study:bank.use", "study:bank.training"]


def test_an_unknown_key_names_the_nearest_ones() -> None:
    with pytest.raises(SpecError, match=r"no file has the key 'search\.trails'; nearest: 'search\.trials'"):
        find_keys("search.trails")


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_that_is_explained_can_be_set(name: str) -> None:
    real = name.replace("NAME", "energy")
    assert Limits(**{real: 1}).get(real) == 1


def test_fields_are_explained_below_them() -> None:
    assert field_meanings(TrainingSpec)["seconds"] == "Budget in seconds."
    assert list(field_meanings(TrainingSpec)) == list(TrainingSpec.__annotations__)
