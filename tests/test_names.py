"""A name from a user is checked, and never leads out of the folder that it names something in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import SpecError
from eenas.names import check_name, file_part

HOSTILE = (
    *("../x", "/etc/passwd", "..", ".", "", " ", "a/../../b", "C:\\x", "\\\\host\\share", "a\x00b", "x" * 5000),
    *("CON", "nul.txt", "com1", ".hidden", "-rf", "a.", "a ", "~", "猫/犬", "\udcff", "a\nb", "x:stream", "é" * 100),
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_part_of_a_path_stays_in_its_folder_and_can_be_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / file_part(name)
    assert path.resolve().parent == tmp_path
    assert not path.name.startswith((".", "-"))
    path.mkdir()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_usual_names_are_their_own_part() -> None:
    for name in ("resnet50-digits-454467", "my study 2", "trial8", "größe", "static-layer2.1"):
        assert file_part(name) == name


@given(st.lists(st.text(st.characters(codec=None, categories=None), max_size=8), unique=True, max_size=8))
def test_different_names_have_different_parts(names: list[str]) -> None:
    assert len({file_part(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m", "\u202ea", "a\x00", "\udcff", "x" * 201])
def test_names_that_cannot_be_read_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_name(name, "a study")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_readable_name_is_taken() -> None:
    assert check_name("../x [cat] 猫", "a study") == "../x [cat] 猫"
