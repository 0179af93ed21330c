"""Both pages in a real browser: every figure is drawn, nothing goes wrong, and nothing is asked of the network."""

import re
import threading

import numpy as np
import optuna
import pytest

from eenas.records.database import Database
from eenas.reporting.dashboard.dashboard import server
from eenas.reporting.dashboard.study_page import publish
from eenas.reporting.report.explorer import explorer_facts, leaving_at
from eenas.reporting.report.report_page import load_report, report_html
from tests.reporting.browser import CHROMIUM, REASON, marks, section, visit
from tests.reporting.sources import source, with_frozen_points
from tests.reporting.studies import BACKBONE, picked, study

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=REASON)


@pytest.fixture(scope="module")
def results():
    return with_frozen_points(study(9))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_html(source(results), load_report()), encoding="utf-8")
    return file


OTHERS = ("samples", "policies", "explain", "distortions", "experts", "tiers")
"""The panels without a figure, or only for studies with distortions, experts or tiers."""


@pytest.fixture(scope="module")
def opened(page):
    return visit(page.as_uri(), page.parent)


def test_the_report_says_nothing_on_the_console_and_asks_for_nothing(opened):
    assert opened.console == ()
    assert [address for address in opened.requests if not address.startswith("file:")] == []


@pytest.mark.parametrize("name", [name for name in load_report().panels if name not in OTHERS])
def test_every_figure_of_the_report_is_drawn(opened, name):
    drawn = section(opened.dom, name)
    assert "main-svg" in drawn
    assert marks(drawn) > 3
    assert re.search(r'class="[xy]\d?title"', drawn) or name == "design"


def test_the_pictures_are_there(opened):
    assert section(opened.dom, "samples").count("<img src") >= 2


def explored(dom):
    """Accuracy, MACs and latency in the words beside the slider, and the shares of the bars, all in percent."""
    text = re.search(r'id="explored"[^>]*>([^<]*)<', dom).group(1)
    numbers = [float(number) for number in re.findall(r"([\d.]+) (?:% acc|% of|× the)", text)]
    bars = re.findall(r'class="bartext[^"]*"[^>]*>([\d.]+) %<', section(dom, "explorer"))
    return text, numbers, [float(share) for share in bars]


@pytest.mark.parametrize("threshold", [None, 0.5, 0.9])
def test_the_slider_moves_to_what_the_table_says(results, page, opened, tmp_path, threshold):
    facts = explorer_facts(picked(results), BACKBONE)
    if threshold is None:
        step, dom = facts.start, opened.dom
    else:
        step = int(np.searchsorted(np.round(facts.thresholds, 6), threshold, side="right")) - 1
        dom = visit(f"{page.as_uri()}#threshold={threshold}", tmp_path).dom
    text, (accuracy, macs, latency), bars = explored(dom)
    shares = leaving_at(facts, step)
    assert f"threshold {facts.thresholds[step]:.4f}" in text
    assert accuracy == pytest.approx(100 * facts.accuracy[step], abs=0.006)
    assert macs == pytest.approx(100 * facts.spent[step], abs=0.06)
    assert latency == pytest.approx(shares @ facts.costs["latency"], abs=0.006)
    assert bars == pytest.approx((100 * shares).tolist(), abs=0.06)


def test_a_page_that_does_wrong_is_noticed(tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/a.png"><script>console.error("wrong"); missing()</script>')
    seen = visit(bad.as_uri(), tmp_path, milliseconds=2000)
    assert any("wrong" in line for line in seen.console)
    assert any("missing is not defined" in line for line in seen.console)
    assert "http://127.0.0.1:9/a.png" in seen.requests


def test_the_live_page_is_drawn_in_the_dashboard(results, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    Database(url).close()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(storage=url, study_name="the study", directions=["maximize", "minimize"])
    made.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.number), n_trials=3)
    publish(results, made)
    with server(url, host="127.0.0.1", port=0, artifacts=None) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            home = f"http://127.0.0.1:{running.server_port}/"
            seen = visit(f"{home}dashboard/studies/1", tmp_path, height=4000)
        finally:
            running.shutdown()
            thread.join()
    assert [line for line in seen.console if "ERROR" in line or "rror:" in line] == []
    assert [address for address in seen.requests if not address.startswith(home)] == []
    for title in ("Accuracy against compute", "Accuracy against latency", "Where samples leave"):
        assert title in seen.dom
    assert marks(seen.dom) > 100
