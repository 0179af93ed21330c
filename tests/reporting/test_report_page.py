"""The report as a file: what it says, what it holds, and that a panel that fails does not cost the page."""

import html
import re
import shlex
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from eenas.errors import SpecError
from eenas.percent import percent
from eenas.policies.learned.comparison import compare_learned
from eenas.progress import Notice
from eenas.reporting.facts.conditions import commands, conditions, settings_text
from eenas.reporting.facts.picked import drawn_item
from eenas.reporting.facts.summary import shown
from eenas.reporting.figures.leaving_figure import leaving_facts
from eenas.reporting.report import policies, report_panels
from eenas.reporting.report.report_page import ReportSpec, load_report, report_html
from eenas.reporting.report.report_source import Asked
from eenas.results.choice import Choice, choose_design
from eenas.specs import from_table
from eenas.study.settings.limits import Limits
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import StudySpec, load_settings
from tests.policies.tables import deceptive_table
from tests.reporting.sources import broken, source, trials
from tests.reporting.studies import BACKBONE, failed, infeasible, slow, study


@pytest.fixture(scope="module")
def page():
    said = []
    text = report_html(source(), load_report(), said.append)
    assert said == []
    return text


def words(text):
    """The page without scripts and styles."""
    return html.unescape(re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL))


def test_the_page_begins_with_the_summary_and_ends_with_the_commands(page):
    text = words(page)
    assert re.search(r"Trial \d+ (keeps|reaches) [\d.]+ %", text)
    assert text.index("keeps") < text.index("Best accuracy within a share") < text.index("eenas train")
    item = shown(study(9))
    assert re.search(rf"{item.name}\s[^:]*{percent(item.point.accuracy)} [^:]*{percent(item.macs_share)}", text)
    for name in ("static networks", "uniform by hand", "plain backbone", "1 MAC = 2 FLOPs", "calibration split"):
        assert name in text


def test_every_panel_of_the_shipped_report_is_in_its_place(page):
    expected = [name for name in load_report().panels if name not in ("experts", "tiers")]
    assert re.findall(r'<section id="(\w+)">', page) == expected, "no run has experts, and the study has no tiers"
    assert set(load_report().panels) == set(report_panels.PANELS)
    html_only = ("explain", "policies", "samples", "experts", "tiers")
    assert page.count('class="plot') == len(load_report().panels) - len(html_only)
    assert 'class="missing"' not in page
    assert page.count("data:image/png;base64,") >= 2


def test_the_page_is_one_file_below_8_mb_that_asks_for_nothing(page):
    assert len(page.encode()) < 8_000_000
    assert "default-src 'none'" in page
    own = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!data:)""", own)


def test_a_panel_that_fails_says_why_in_its_place(monkeypatch):
    def wrong(_):
        raise ZeroDivisionError("division <by> zero")

    monkeypatch.setattr(report_panels, "PANELS", report_panels.PANELS)
    monkeypatch.setitem(report_panels.PANELS, "leaving", wrong)
    said = []
    text = report_html(source(picked=broken), ReportSpec(panels=("leaving", "design", "progress")), said.append)
    assert "ZeroDivisionError: division &lt;by&gt; zero" in text
    assert "this cannot be had; mend it" in text
    assert text.count('class="plot') == 1
    assert [type(event) for event in said] == [Notice, Notice]
    assert "the panel leaving" in said[0].text


@pytest.mark.parametrize(
    "results",
    [study(0), study(1), study(0, extra=[failed(0)]), study(0, extra=[infeasible(0)]), study(5, latency=False)],
    ids=["none", "one", "failed", "infeasible", "without latency"],
)
def test_every_study_has_a_report(results):
    said = []
    text = report_html(source(results), load_report(), said.append)
    item = results.recommended or results.knee or next(iter(results.front), None)
    static = item is not None and item.ends_at is not None
    left = {*(report_panels.OF_LEAVING if static else ()), "distortions", "experts", "tiers"}
    assert re.findall(r'<section id="(\w+)">', text) == [name for name in load_report().panels if name not in left]
    assert text.count("nothing to compare between exits") == static
    assert all("Error" not in event.text for event in said)
    if not results.front:
        assert "there is no front yet" in text


def test_where_the_whole_front_is_static_a_sentence_stands_for_who_leaves_where(monkeypatch):
    facts = leaving_facts(study(5))
    bars = tuple(replace(bar, exits=(replace(bar.exits[0], share=1.0),)) for bar in facts.bars)
    monkeypatch.setattr(report_panels, "leaving_facts", lambda results: replace(facts, bars=bars))
    panel = report_panels.leaving(source(study(5)))
    assert panel.figure is None
    assert "in every network shown above, all samples leave at one exit" in panel.above
    monkeypatch.undo()
    assert report_panels.leaving(source(study(5))).figure is not None


def test_thousands_of_trials_do_not_make_it_large():
    few = study(6)
    many = tuple(replace(few.trials[number % 6], number=number) for number in range(2000))
    said = []
    text = report_html(source(replace(few, trials=many), trials=lambda: trials(4)), load_report(), said.append)
    assert said == []
    assert len(text.encode()) < 6_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('panels = ["front_mac"]', "'front_macs'"),
        ('panels = ["design", "design"]', "once"),
        ('figures = ["design"]', "panels"),
        ("", "panels"),
    ],
)
def test_wrong_reports_name_file_and_fix(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SpecError, match=said) as caught:
        load_report(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["digits", "cifar_resnet20"])
def test_the_settings_read_back_as_the_study(name):
    settings, _ = load_settings(name, backbone="cifar_resnet20", overrides=["task.spec=npz:my data's.npz", "seed=3"])
    text = settings_text(replace(study(1), settings=settings))
    assert from_table(StudySpec, tomllib.loads(text)) == settings


@pytest.mark.parametrize("choice", [None, Choice(), Choice(network="trial 2"), Choice(limits=Limits(max_macs=0.5))])
def test_the_commands_train_what_is_drawn(choice):
    results = study(9)
    search, front, train, report = commands(
        source(results, asked=Asked(choice=choice), study=StudyReference(artifacts="my own"))
    )
    words = shlex.split(train)
    flag, *value = words[2 : words.index("--storage")]
    made = {"--best": Choice, "--network": lambda: Choice(network=value[0])}
    made["--max-macs"] = lambda: Choice(limits=Limits(max_macs=float(value[0])))
    trained, drawn = choose_design(results, made[flag]()), drawn_item(results, choice)
    assert (trained.name, trained.point) == (drawn.name, drawn.point)
    assert (shlex.join([flag, *value]) in report) == (choice is not None)
    assert ["--artifacts 'my own'" in line for line in (search, front, train, report)] == [True, False, True, True]


def test_the_commands_repeat_every_flag():
    asked = Asked(runs=Path("elsewhere"), page="mine.toml")
    lines = commands(source(study(9), asked=asked, study=StudyReference(trust_code=True)))
    assert all(line.count("--trust-code") == 1 for line in lines)
    assert "--runs elsewhere --page mine.toml" in lines[-1]
    assert not any("elsewhere" in line for line in lines[:-1])


def test_where_the_backbone_is_the_better_choice_the_page_says_so_and_no_command_trains():
    results = slow(study(9))
    said = source(results, item=shown(results))
    assert [line.split()[1] for line in commands(said)] == ["search", "front", "report"]
    asked = Asked(choice=Choice(network="trial 2"))
    assert "--network 'trial 2'" in commands(source(results, asked=asked))[2], "unless it is asked for"
    text = words(report_html(said, ReportSpec(panels=())))
    assert "The plain backbone reaches 91.7 %, and no network is recommended instead." in text
    assert "The plain backbone is the better choice: no network within 1 point of it saves anything" in text
    assert "(recommended" not in text


def test_a_backbone_given_as_an_object_is_given_again_in_python():
    results = study(9)
    own = replace(results, backbone=replace(BACKBONE, weights="own"))
    comment, *lines = commands(source(own))
    assert comment.startswith("# cifar_resnet20 was given as an object")
    assert [line.split()[1] for line in lines] == ["front", "report"]


def test_the_commands_and_conditions_name_the_study():
    results = study(9)
    lines = commands(source())
    assert all(results.name in line for line in lines)
    assert [line.split()[1] for line in lines] == ["search", "front", "train", "report"]
    assert ["--device cpu" in line for line in lines] == [True, False, True, False]
    rows = dict(conditions(source(results)))
    assert "1 thread, float32" in rows["latency"]
    assert rows["latency"] != dict(conditions(source(study(9, latency=False))))["latency"]


def test_learned_policies_are_compared_in_a_table_where_there_are_samples_enough(monkeypatch):
    few = report_panels.PANELS["policies"](source()).above
    assert "they need a branch and 400 calibration samples, got 300 samples" in few
    picked = source().picked()
    calibration, validation = deceptive_table(), deceptive_table(seed=1)
    monkeypatch.setattr(policies, "compare_learned", partial(compare_learned, kinds=["jei_dnn"]))
    enough = replace(picked, calibration=calibration, validation=validation, backbone_macs=3.0)
    text = words(report_panels.PANELS["policies"](source(picked=lambda: enough)).above)
    assert "at equal MACs: of 2 comparisons, " in text
    assert re.search(r"jei_dnn\s+75 %\s+\d\d\.\d %\s+\d\d\.\d %\s+\d\d\.\d %\s+\+\d+\.\d \(", text)
    assert "won" in text
