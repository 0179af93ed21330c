"""Files and texts beyond their bounds are refused in one line before anything large is made of them."""

import os
from pathlib import Path

import pytest

from eenas import bounds, specs
from eenas.backbones.load import load_backbone
from eenas.bounds import check_keys
from eenas.errors import DesignError, EenasError, SpecError, StorageError
from eenas.study.settings.study_spec import StudySpec, load_settings
from eenas.tasks.load import load_task


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested"),
        ("[" * 50 + "]" * 50, "nested more than 40 levels deep"),
        ("9" * 5000, "not valid JSON"),
        (str(2**63), "at most 63 bits"),
        (str(-(2**63) - 1), "at most 63 bits"),
        ("1e400", "must be finite"),
        ("NaN", "must be finite"),
        ('"\\ud800"', "lone surrogates"),
        ('{"' + "k" * 600 + '": 1}', "at most 500 characters"),
        ("[" + "0," * 2_000_001 + "0]", "at most 2,000,000 values"),
        ("", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
    ],
)
def test_json_beyond_its_bounds(text: str | bytes, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        bounds.parse_json(text)
    assert len(str(caught.value)) < 400


def test_json_within_its_bounds() -> None:
    assert bounds.parse_json('{"a": [1, 2.5, true, null, "猫"]}') == {"a": [1, 2.5, True, None, "猫"]}
    assert bounds.parse_json("[Infinity]", finite=False) == [float("inf")]
    extremes = [-(2**63), 2**63 - 1]
    assert bounds.parse_json(str(extremes)) == extremes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested"),
        ("a." * 50 + "b = 1", "more than 40 parts"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a = 0x" + "f" * 5000, "at most 63 bits"),
        ("a = 1979-05-27", "dates and times"),
        ('a = "\\u0000"', "NUL"),
    ],
)
def test_toml_beyond_its_bounds(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(SpecError, match=rf"a\.toml: .*{said}") as caught:
        specs.read_table(file)
    assert len(str(caught.value)) < 500
    with pytest.raises(EenasError):
        load_settings(overrides=[text.replace(" = ", "=", 1)])


def test_long_files_and_pipes_are_not_read(tmp_path: Path) -> None:
    long = tmp_path / "long.toml"
    with long.open("wb") as stream:
        stream.truncate(10**8)
    with pytest.raises(SpecError, match="at most 1,000,000 bytes"):
        specs.read_table(long)
    with pytest.raises(SpecError, match="at most 64,000,000 bytes"):
        bounds.read_json(long)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecError, match="not a regular file"):
        specs.read_table(tmp_path / "pipe")
    with pytest.raises(SpecError, match="cannot be read"):
        bounds.read_json(tmp_path / ("x" * 5000))


@pytest.mark.parametrize(
    "assignment",
    [
        "training.batch_size=1e400",
        "training.batch_size=nan",
        "training.batch_size=true",
        "training.batch_size=" + "9" * 30,
        "training.batch_size=[[[[1]]]]",
        "training.batch_size=" + "x" * 20_000,
        "a." * 100 + "b=1",
        "=1",
    ],
)
def test_assignments_of_other_types_and_sizes_are_refused(assignment: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_settings(backbone="resnet50", overrides=[assignment])
    assert len(str(caught.value)) < 500


def test_what_a_damaged_table_raises_becomes_one_error() -> None:
    for broken in (lambda: {}["x"], lambda: int("x"), lambda: 1 / 0, lambda: "x".y):  # type: ignore[attr-defined]
        with (
            pytest.raises(StorageError, match=r"^the row: damaged \(.*\); restore it$"),
            bounds.damage_as(StorageError, "the row", "restore it"),
        ):
            broken()


def used(settings: StudySpec) -> None:
    load_backbone(settings.backbone, num_classes=2, input_size=32)
    load_task(settings.task)


@pytest.mark.parametrize("key", ["space", "backbone.name", "backbone.weights", "task.spec"])
def test_a_text_longer_than_a_file_name_is_refused_in_one_line(key: str) -> None:
    overrides = ['backbone.name="cifar_resnet20"', f'{key}="{"x" * 5000}"']
    with pytest.raises(EenasError) as caught:
        used(load_settings(overrides=overrides)[0])
    assert len(str(caught.value)) < 2000
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], r"^f.json: \[a\]: must be a table, got \[\]$"),
        ({"one": 1, "tow": 2}, r"^f.json: \[a.tow\]: unknown key; nearest: 'two'"),
        ({"two": 2}, r"^f.json: \[a\]: the key 'one' is missing; add it$"),
    ],
)
def test_keys_of_a_table_are_known_and_those_that_are_needed_are_there(table, said):
    with pytest.raises(DesignError, match=said):
        check_keys(table, ("one", "two"), ("one",), file="f.json", key="a", error=DesignError)
    check_keys({"one": 1}, ("one", "two"), ("one",))


def test_a_table_without_an_origin_is_named_by_its_kind():
    with pytest.raises(SpecError, match=r"^a policy: must be a table, got 3$"):
        check_keys(3, (), kind="a policy")
    with pytest.raises(SpecError, match=r"^\[x\\nx") as caught:
        check_keys({"x\n" * 500: 1}, ())
    assert len(str(caught.value)) < 250
