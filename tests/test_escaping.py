"""Text from outside is shown, not obeyed, in each medium."""

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.escaping import (
    as_markdown,
    in_figure,
    json_for_terminal,
    json_in_html,
    one_line,
    shortened,
    visible,
)

HOSTILE = (
    "\x1b[31mred",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "\x00\x08\x7f",
    "a\u2028b\u2029c",
    "\udcff lone",
    "\U000e0041tag",
)
ANY = st.text(st.characters(codec=None, categories=None), max_size=40)


@pytest.mark.parametrize("text", HOSTILE)
def test_controls_are_shown_as_escapes(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert "\\" in shown
    shown.encode("utf-8")


@given(ANY)
def test_visible_text_is_printable_but_for_newlines_and_tabs(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert visible(shown) == shown
    assert "\n" not in one_line(text)


def test_usual_text_stays_as_it_is() -> None:
    for text in ("cat", "[cat]", "Größe 5 µm", "猫", "👨\u200d👩\u200d👧", "a\tb\nc", r"C:\new"):
        assert visible(text) == text


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "]]>", "a\u2028b", "&lt;"])
def test_json_in_a_page_neither_ends_its_element_nor_changes(text: str) -> None:
    packed = json_in_html(json.dumps({text: [text]}, ensure_ascii=False))
    assert not set(packed) & set("<>&\u2028\u2029")
    assert json.loads(packed) == {text: [text]}


@given(ANY)
def test_json_for_a_terminal_keeps_its_values(text: str) -> None:
    for is_ascii in (False, True):
        packed = json_for_terminal(json.dumps(text, ensure_ascii=False), ascii_only=is_ascii)
        assert json.loads(packed) == text
        assert packed == visible(packed)
        assert packed.isascii() or not is_ascii


@pytest.mark.parametrize(
    "text",
    [
        "<b>x</b>",
        "![x](http://evil/p.png)",
        "[x](javascript:alert(1))",
        "a|b",
        "`x`",
        "$x^2$",
        "# head",
        "- item",
        "1. item",
        "&lt;",
        "*x* _y_ ~z~",
    ],
)
def test_markdown_shows_a_text_letter_by_letter(text: str) -> None:
    shown = as_markdown(text)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown) == text
    assert not re.search(r"(?<!\\)[`*\[\]<|~$&]", shown)
    assert not re.match(r"([-+=#>]|\d+[.)])", shown)


@pytest.mark.parametrize("text", ["<b>x</b>", '<a href="http://evil">x</a>', "%{x}", "&amp;", "$x$", "a<br>b"])
def test_a_figure_shows_tags_entities_and_templates(text: str) -> None:
    shown = in_figure(text)
    assert not set(shown) & set("<>$")
    assert "%{" not in shown
    assert html.unescape(shown) == text


def test_a_quoted_value_is_short_whatever_it_is() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10**7, b"x" * 10**7, 1 << 10**6, deep, {"a": "b" * 10**5}, "\x1b[31m", list(range(10**4))):
        assert len(shortened(value)) < 130
        assert shortened(value).isprintable()
    assert shortened("cat") == "'cat'"


def test_what_does_not_start_a_line_is_no_list_whatever_it_begins_with():
    assert as_markdown("0.966 everywhere") == r"0\.966 everywhere"
    assert as_markdown("0.966 everywhere", starts_line=False) == "0.966 everywhere"
