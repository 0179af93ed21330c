"""Templates escape every text that is not marked as safe, and miss no value silently."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from eenas.escaping import visible
from eenas.reporting.report.templates import render

ANY = st.text(st.characters(codec=None, categories=None), max_size=40)
SAMPLE = {"picture": "data:,", "quote": "", "drawn": False, "label": "cat", "answer": "cat", "right": True}
SAMPLE["confidence"] = "90 %"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data):
        self.words += data


@given(ANY)
def test_html_has_no_tag_and_no_quote_from_a_text(text):
    page = render("sentence.html", title=text, sentence="")
    shown = re.fullmatch(r"<h2>(.*)</h2><p class=\"small\"></p>", page, re.DOTALL)[1]
    assert not set(shown) & set("<>\"'")
    assert html.unescape(shown) == visible(text)


@given(ANY)
@example("&#0")
@example("&lt;")
def test_an_attribute_holds_a_whole_text(text):
    page = Page(render("samples.html", point="", rows=[("", [{**SAMPLE, "label": text}])]))
    assert page.attributes["alt"] == f"a sample of class {visible(text)}".replace("\r", "\n")
    assert page.tags == ["h2", "p", "h3", "div", "figure", "img", "figcaption", "br"]


@given(ANY)
def test_a_table_shows_its_cells_letter_by_letter(text):
    page = Page(render("notebook.html", summary=(text,), heads=(text,), rows=[(text, 1)]))
    assert page.tags == ["div", "p", "div", "table", "thead", "tr", "th", "tbody", "tr", "td", "td"]
    assert page.words.strip() == (visible(text) * 3 + "1").strip()


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "a\u2028b", "&lt;"])
def test_data_for_a_script_neither_ends_its_element_nor_changes(text):
    page = render("explorer.html", name="t", last=3, start=1, data=json.dumps([text], ensure_ascii=False))
    (data,) = re.findall(r'<script type="application/json" id="explorer-data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == [text]
    assert Page(page).tags == ["div", "label", "input", "output", "script"]


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="sentence"):
        render("sentence.html", title="t")
