"""The report: one HTML file with its own scripts, styles and data, which opens offline."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from plotly.offline import get_plotlyjs

from eenas import shipped, specs
from eenas.errors import EenasError, SpecError, StorageError
from eenas.escaping import shortened
from eenas.files import write_text
from eenas.percent import percent
from eenas.progress import Listener, Notice, silent
from eenas.reporting.facts.conditions import SETTINGS, commands, conditions, settings_text
from eenas.reporting.facts.front_table import (
    PLAIN,
    SHARES,
    FrontRow,
    backbone_row,
    exits_of,
    networks,
    point_row,
    shares_rows,
)
from eenas.reporting.facts.selection import spread, with_best
from eenas.reporting.facts.summary import headline, summary
from eenas.reporting.facts.wording import ROBUSTNESS_WORDS, cost_word, place
from eenas.reporting.report.page import with_own_fronts
from eenas.reporting.report.report_panels import OF_LEAVING, WIDE, PanelName, panel
from eenas.reporting.report.report_source import PAGE, USUAL, Asked, ReportSource, open_source
from eenas.reporting.report.templates import render
from eenas.runs.run_report import largest_words
from eenas.study.rivals.offered_points import FrontPoint
from eenas.study.settings.reference import STORAGE, StudyOptions, StudyReference, referred

ROWS = 10


@dataclass(frozen=True, kw_only=True)
class ReportSpec:
    """A report: its panels, from top to bottom."""

    panels: tuple[PanelName, ...]
    """The panels, each once, from top to bottom."""

    def __post_init__(self) -> None:
        """Raise SpecError for repeated panels, since panels are identified by their names in the page."""
        if len(set(self.panels)) != len(self.panels):
            raise SpecError(f"panels must name each panel once, got {shortened(list(self.panels))}")


def load_report(name: str | Path = PAGE) -> ReportSpec:
    """Load a shipped report by name or a file by path. Raises SpecError for unknown keys and panels."""
    path = shipped.find("dashboards", str(name))
    return specs.from_table(ReportSpec, specs.read_table(path), file=str(path))


def write_report(
    study: StudyReference | str = STORAGE,
    out: str | Path = "report.html",
    *,
    asked: Asked = USUAL,
    **options: Unpack[StudyOptions],
) -> Path:
    """Write the report of a study to `out`, and return its path.

    `study` is a reference or the storage, and `options` are the fields of a `StudyReference`. A panel that fails is
    replaced by the reason, and the listener gets a notice. Raises SpecError for an invalid page, StorageError for a
    storage that cannot be read or an `out` that cannot be written, and the errors of `open_source`.
    """
    reference, page = referred(study, options), Path(out)
    if page.is_dir():
        raise StorageError(f"{page}: is a folder; name a file in it, such as {page / 'report.html'}")
    spec = load_report(asked.page)
    text = report_html(open_source(reference, asked), spec, reference.listener)
    write_text(page, text)
    return page


def report_html(source: ReportSource, spec: ReportSpec, listener: Listener = silent) -> str:
    """Return the whole page as text."""
    results = source.results
    style, script = (Path(__file__).with_name(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    scripts = (get_plotlyjs(), script)
    page = render(
        "page.html",
        digests=_digests(scripts),
        title=f"{results.backbone.name} on {results.task}",
        style=style,
        headline=_capital(headline(results, source.item)),
        summary=summary(results),
        measure=results.measure,
        samples=f"{results.samples:,}",
        largest_class=largest_words(results.largest_class),
        tables=_tables(source) if results.front else None,
        panels=_panels(source, spec, listener),
        left_out=_left_out(source, spec),
        conditions=conditions(source),
        commands="\n".join(commands(source)),
        settings_file=SETTINGS,
        settings=settings_text(results),
        scripts=scripts,
    )
    return page + "\n"


def _tables(source: ReportSource) -> dict[str, Sequence[object]]:
    """Return the tables of the front beside its baselines, of points along it, and of their networks' exits."""
    results = source.results
    items = [item for item in with_best(results, spread(results.choices, ROWS)) if item.kind != "plain"]
    if source.item is not None and source.item.kind != "plain" and all(source.item is not item for item in items):
        items = sorted((*items, source.item), key=lambda item: (-item.point.accuracy, item.macs_share))
    points = [point_row(item, results) for item in items]
    labels = [PLAIN, *(_name(item, source) for item in items)]
    words = [cost_word(each.name) for each in results.all_costs]
    robust = list(dict.fromkeys(name for row in points for name in row.robustness))
    heads = [ROBUSTNESS_WORDS[name] for name in robust]
    expected = (head for word in words for head in (word, "of the backbone"))
    return {
        "share_heads": ("", *(percent(share, 0) for share in SHARES)),
        "shares": [(row.name, *(percent(accuracy) for accuracy in row.accuracies)) for row in shares_rows(results)],
        "point_heads": ("", "accuracy", *heads, *expected, *(f"worst {word}" for word in words), "leave at each exit"),
        "points": [
            (
                label,
                percent(row.accuracy),
                *(percent(row.robustness[name]) if name in row.robustness else "–" for name in robust),
                *(text for cost in row.costs for text in (cost.text, cost.share_text())),
                *(cost.worst_text() for cost in row.costs),
                _leaving(row),
            )
            for row, label in zip((backbone_row(results), *points), labels, strict=True)
        ],
        "exits": [(row.name, "; ".join(filter(None, (exits_of(row), how)))) for row, how in networks(points)],
    }


def _leaving(row: FrontRow) -> str:
    if row.ends_at:
        return f"all at {place(row.ends_at)}"
    return " / ".join(percent(share, 0) for share in row.leaving) or "–"


def _name(item: FrontPoint, source: ReportSource) -> str:
    """Return the label of a point's network, with the point's marks in brackets."""
    is_on_front = any(item is one for one in source.results.front)
    words = {
        "recommended": item.recommended,
        "knee": item.knee,
        "drawn below": item is source.item,
        "not on the front": not is_on_front,
    }
    said = ", ".join(word for word, holds in words.items() if holds)
    return item.label + (f" ({said})" if said else "")


def _panels(source: ReportSource, spec: ReportSpec, listener: Listener) -> list[str]:
    """Return the HTML of the panels in order, but those without content for this study or for a static network."""
    without = {"distortions"} if source.results.settings.task.distortions is None else set()
    if not _has_experts(source):
        without.add("experts")
    if source.results.settings.tiers is None:
        without.add("tiers")
    names = [each for each in with_own_fronts(spec.panels, source.results) if each not in without]
    return [_panel(name, source, listener) for name in names if not (_is_static(source) and name in OF_LEAVING)]


def _has_experts(source: ReportSource) -> bool:
    """Whether a run of the study has experts. A run that cannot be read is left to the panel of its latency."""
    try:
        return source.run_with_experts() is not None
    except EenasError:
        return False


def _is_static(source: ReportSource) -> bool:
    """Whether every sample of the drawn network leaves at one exit."""
    return source.item is not None and source.item.ends_at is not None


def _left_out(source: ReportSource, spec: ReportSpec) -> str:
    """Return the reason why a static network has no panels of leaving; empty if none is left out."""
    item, left = source.item, [name for name in spec.panels if name in OF_LEAVING]
    if item is None or item.ends_at is None or not left:
        return ""
    where = place(item.design.branches[item.ends_at].cut_point)
    why = f"every sample of {item.name} leaves at {where}, so there is nothing to compare between exits"
    return f"Left out ({', '.join(left)}): {why}."


def _panel(name: str, source: ReportSource, listener: Listener) -> str:
    """Return one panel, or the reason if it fails."""
    try:
        found = panel(name, source)
        figure = None if found.figure is None else found.figure.to_json()
        return render("panel.html", name=name, above=found.above, figure=figure, wide=name in WIDE, reason="")
    except Exception as error:  # a panel must not cost the page
        said = str(error) if isinstance(error, EenasError) else f"{type(error).__name__}: {error}"
        listener(Notice(f"the panel {name} is not in the report: {said}"))
        return render("panel.html", name=name, reason=said)


def _digests(scripts: Sequence[str]) -> str:
    """Return the sources of a content security policy that allow these inline scripts only."""
    digests = (hashlib.sha256(code.encode()).digest() for code in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
