"""Names from a user that hold tags, links, templates, scripts and controls are shown in every figure, page and note."""

import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser

import optuna
import pytest

from eenas.deployment.model_card import run_card
from eenas.escaping import in_figure
from eenas.records.database import Database
from eenas.reporting.dashboard.dashboard import server
from eenas.reporting.dashboard.study_page import publish
from eenas.reporting.facts.front_table import to_json
from eenas.reporting.facts.notes import study_note, trial_note
from eenas.reporting.report.page import FIGURES
from eenas.reporting.report.report_page import load_report, report_html
from eenas.reporting.report.report_panels import PANELS
from tests.reporting.browser import CHROMIUM, REASON, marks, visit

from . import sources, studies

EVIL = "<b>e</b><a href='http://evil.example'>l</a></script><script>alert(1)</script><!--%{x}\x1b]8;;x\x07\u202e"


@pytest.fixture(scope="module")
def hostile():
    """A source of reports in which every name that a user gives is hostile."""
    with pytest.MonkeyPatch.context() as patch:
        names = tuple(name + EVIL for name in studies.CUT_POINTS)
        macs = dict(zip(names, studies.CUT_POINT_MACS.values(), strict=True))
        patch.setattr(studies, "CUT_POINTS", names)
        patch.setattr(studies, "CUT_POINT_MACS", macs)
        extra = [studies.failed(90, f"KeyError: {EVIL}")]
        results = studies.study(9, extra=extra, name=f"study{EVIL}")
        networks = tuple(replace(each, origin=f"known: {EVIL}") for each in results.networks)
        results = replace(
            sources.with_frozen_points(results),
            task=f"task{EVIL}",
            device=f"device{EVIL}",
            classes=tuple(f"class {number}{EVIL}" for number in range(10)),
            backbone=replace(results.backbone, name=f"net{EVIL}", weights=EVIL),
            baselines=tuple(replace(each, name=each.name + EVIL) for each in results.baselines),
            networks=networks,
            trials=tuple(replace(each, origin=f"known: {EVIL}") for each in results.trials),
            warnings=(EVIL,),
        )
        profile = sources.FACTS["profile"] | {"cut_points": [{"name": name} for name in names]}
        yield sources.source(results, facts={**sources.FACTS, "profile": profile, "execution": EVIL})


def texts(value):
    """Every text in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def check_figure(figure):
    """No text of a figure has a tag, link, template or control but those of the drawing; whether any was hostile."""
    found = [text for text in texts(json.loads(figure.to_json())) if "evil.example" in text]
    for text in found:
        assert in_figure(EVIL) in text
        rest = text.replace(in_figure(EVIL), "")
        assert "evil" not in rest
        assert set(re.findall(r"</?(\w+)", rest)) <= {"b", "br", "span", "extra"}
    return bool(found)


@pytest.mark.parametrize(
    "name",
    [name for name in PANELS if name not in ("samples", "policies", "explain", "distortions", "experts", "tiers")],
)
def test_figures_of_the_report(hostile, name):
    shown = check_figure(PANELS[name](hostile).figure)
    plain = ("latency", "progress", "importances", "survivors", "difficulty", "leaving", "confusion", "regret")
    assert shown or name in plain


@pytest.mark.parametrize("name", list(FIGURES))
def test_figures_of_the_studys_page(hostile, name):
    check_figure(FIGURES[name](hostile.results))


def test_the_report_holds_its_own_two_scripts_and_no_other(hostile):
    page = report_html(hostile, load_report())
    assert 'class="missing"' not in page
    assert page.count("evil.example") > 20
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert page.count("<script>") == 2
    assert not re.search(r"<b>e|<a |alert\(1\)<|<!--|\x1b|\u202e", own)
    assert "unsafe-inline" not in re.search(r"script-src([^;]*);", page).group(1)


def test_notes_and_cards_hold_no_tag_and_no_link(hostile):
    report = sources.run(hostile.results, task=EVIL, study=EVIL, device=EVIL)
    number = next(item.trial for item in hostile.results.front if item.trial is not None)
    notes = (study_note(hostile.results), trial_note(hostile.results, number), run_card(report))
    for text in notes:
        assert "evil.example" in text
        assert not re.search(r"(?<!\\)<(?!br>)|\x1b|\u202e", text)


def test_json_has_the_names_as_they_are(hostile):
    assert json.loads(to_json(hostile.results))["task"] == f"task{EVIL}"


class Elements(HTMLParser):
    """The elements of a page, each a tag with its attributes, and the texts between them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, words):
        self.words.append(words)


def check_page(dom):
    """A page as a browser made it shows the hostile name, and no tag in it became an element (an address may)."""
    found = Elements(re.sub(r"<(script|style)[^>]*>.*?</\1>", "", dom, flags=re.DOTALL))
    assert "<b>e</b><a href='http://evil.example'>l</a></script><script>alert(1)</script>" in "".join(found.words)
    assert not {"e", "l"} & set(found.words)


@pytest.mark.skipif(CHROMIUM is None, reason=REASON)
def test_a_browser_obeys_no_name_in_the_report_and_runs_no_script_but_its_own(hostile, tmp_path):
    file = tmp_path / "report.html"
    page = report_html(hostile, load_report())
    file.write_text(page.replace("</main>", "<script>console.error('ran')</script></main>"), encoding="utf-8")
    seen = visit(file.as_uri(), tmp_path)
    assert len(seen.console) == 1
    assert "Content Security Policy" in seen.console[0]
    assert marks(seen.dom) > 100
    check_page(seen.dom)


@pytest.mark.skipif(CHROMIUM is None, reason=REASON)
def test_a_browser_obeys_no_name_in_the_studys_note(hostile, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    Database(url).close()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(storage=url, study_name=f"the study {EVIL}", directions=["maximize", "minimize"])
    publish(hostile.results, made)
    with server(url, host="127.0.0.1", port=0, artifacts=None) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        home = f"http://127.0.0.1:{running.server_port}/"
        try:
            seen = visit(f"{home}dashboard/studies/1/note", tmp_path)
        finally:
            running.shutdown()
            thread.join()
    assert [line for line in seen.console if "ERROR" in line or "rror:" in line] == []
    assert [address for address in seen.requests if not address.startswith(home)] == []
    check_page(seen.dom)
