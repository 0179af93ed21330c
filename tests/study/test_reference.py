"""A reference to a study: its fields are the options of everything that opens a study again."""

from dataclasses import fields

import pytest

from eenas.errors import StudyError
from eenas.study.settings.reference import STORAGE, StudyOptions, StudyReference, fields_of, referred


def test_options_are_the_fields():
    assert set(StudyOptions.__annotations__) == {field.name for field in fields(StudyReference)}


def test_a_reference_is_completed_by_options():
    assert referred(None, {}).storage == STORAGE
    there = referred("sqlite:///other.db", {"name": "mine", "artifacts": "kept"})
    assert (there.storage, there.name, there.artifacts) == ("sqlite:///other.db", "mine", "kept")
    assert referred(there, {"trust_code": True}).name == "mine"
    assert referred(None, fields_of(there)).artifacts == "kept"


def test_an_unknown_option_is_refused():
    with pytest.raises(StudyError, match="a study has no option 'strage'; nearest: 'storage'"):
        referred(None, {"strage": "x"})
