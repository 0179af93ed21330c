"""The clause on known names in messages: the nearest, all of a few, or that there is none."""

import pytest

from eenas.errors import nearest, plural


@pytest.mark.parametrize(
    ("got", "known", "clause"),
    [
        ("resnet5", ("resnet50", "vgg11"), "nearest: 'resnet50'"),
        ("xyz", ("a", "b"), "known: 'a', 'b'"),
        ("xyz", map(str, range(30)), "none of the 30 known names is close"),
        ("trial 0", (), "there is none"),
    ],
)
def test_a_clause_names_what_is_known(got, known, clause):
    assert nearest(got, known) == clause


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(number, "class", "classes") for number in (0, 1, 2)] == ["0 classes", "1 class", "2 classes"]
    assert [plural(number, "exit") for number in (1, 3)] == ["1 exit", "3 exits"]
