"""The report: one HTML file with its own scripts, styles and data, which opens offline."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plotly.offline import get_plotlyjs

from eenas import shipped, specs
from eenas.errors import EenasError, SpecError, StorageError
from eenas.escaping import as_html, json_in_html, shortened
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
from eenas.reporting.facts.wording import cost_word, place
from eenas.reporting.report.html_table import html_table
from eenas.reporting.report.page import with_own_fronts
from eenas.reporting.report.report_panels import OF_LEAVING, WIDE, PanelName, panel
from eenas.reporting.report.report_source import PAGE, USUAL, Asked, ReportSource, open_source
from eenas.runs.run_report import largest_words
from eenas.study.rivals.offered_points import FrontPoint

ROWS = 10
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""The content security policy of the page: only scripts with the listed digests run, and there are no requests to the
network. Inline styles are allowed for plotly.
"""


@dataclass(frozen=True, kw_only=True)
class ReportSpec:
    """A report: its panels, from top to bottom."""

    panels: tuple[PanelName, ...]

    def __post_init__(self) -> None:
        """Raise SpecError for repeated panels, since panels are identified by their names in the page."""
        if len(set(self.panels)) != len(self.panels):
            raise SpecError(f"panels must name each panel once, got {shortened(list(self.panels))}")


def load_report(name: str | Path = PAGE) -> ReportSpec:
    """Load a shipped report by name or a file by path. Raises SpecError for unknown keys and panels."""
    path = shipped.find("dashboards", str(name))
    return specs.from_table(ReportSpec, specs.read_table(path), file=str(path))


def write_report(
    storage: str,
    out: Path,
    *,
    name: str | None = None,
    asked: Asked = USUAL,
    listener: Listener = silent,
) -> Path:
    """Write the report of the study `name` in `storage` (the newest one by default) to `out`.

    A panel that fails is replaced by the reason, and the listener gets a notice. Raises SpecError for an invalid page,
    StorageError for a storage that cannot be read or an `out` that cannot be written, and the errors of `open_source`.
    """
    if out.is_dir():
        raise StorageError(f"{out}: is a folder; name a file in it, such as {out / 'report.html'}")
    spec = load_report(asked.page)
    source = open_source(storage, name, asked)
    text = report_html(source, spec, listener)
    write_text(out, text)
    return out


def report_html(source: ReportSource, spec: ReportSpec, listener: Listener = silent) -> str:
    """Return the whole page as text."""
    results = source.results
    title = as_html(f"{results.backbone.name} on {results.task}")
    style, script = (Path(__file__).with_name(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    scripts = (get_plotlyjs(), script)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY.format(scripts=_digests(scripts))}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: early exits</title><style>{style}</style></head><body><main>",
        f"<h1>Early exits for {title}</h1>",
        f'<p class="headline">{as_html(_capital(headline(results, source.item)))}.</p>',
        _list(summary(results)),
        *_tables(source),
        *_panels(source, spec, listener),
        *_foot(source),
        f"</main>{''.join(f'<script>{code}</script>' for code in scripts)}</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _tables(source: ReportSource) -> list[str]:
    """Return the tables of the front beside its baselines, and of points along it."""
    results = source.results
    if not results.front:
        return []
    rows = [(row.name, *(percent(accuracy) for accuracy in row.accuracies)) for row in shares_rows(results)]
    heads = ("", *(percent(share, 0) for share in SHARES))
    items = list(with_best(results, spread(results.choices, ROWS)))
    if source.item is not None and all(source.item is not item for item in items):
        items = sorted((*items, source.item), key=lambda item: (-item.point.accuracy, item.macs_share))
    points = [point_row(item, results) for item in items]
    labels = [PLAIN, *(_name(item, source) for item in items)]
    cells = [
        (
            label,
            percent(row.accuracy),
            *(text for cost in row.costs for text in (cost.text, cost.share_text())),
            *(cost.worst_text() for cost in row.costs),
            _leaving(row),
        )
        for row, label in zip((backbone_row(results), *points), labels, strict=True)
    ]
    words = [cost_word(each.name) for each in results.all_costs]
    expected = (head for word in words for head in (word, "of the backbone"))
    names = ("", "accuracy", *expected, *(f"worst {word}" for word in words), "leave at each exit")
    exits = [(row.name, "; ".join(filter(None, (exits_of(row), how)))) for row, how in networks(points)]
    largest = largest_words(results.largest_class)
    return [
        f"<h2>Best {results.measure} within a share of the backbone's MACs</h2>",
        html_table(heads, rows),
        f"<h2>Choices of the front, {results.measure} on {results.samples:,} validation samples{largest}</h2>",
        html_table(names, cells),
        html_table(("", "exits, and the branch at each"), exits, is_text=True),
    ]


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
    """Return the panels in order. Those without content for a static network are left out, with one line of text."""
    item, names = source.item, with_own_fronts(spec.panels, source.results)
    if item is None or item.ends_at is None:
        return [_panel(name, source, listener) for name in names]
    left = [name for name in names if name in OF_LEAVING]
    where = place(item.design.branches[item.ends_at].cut_point)
    why = f"every sample of {item.name} leaves at {where}, so there is nothing to compare between exits"
    said = f'<p class="small">Left out ({", ".join(left)}): {as_html(why)}.</p>' if left else ""
    return [*(_panel(name, source, listener) for name in names if name not in left), said]


def _panel(name: str, source: ReportSource, listener: Listener) -> str:
    """Return one panel, or the reason if it fails."""
    try:
        found = panel(name, source)
        drawn = "" if found.figure is None else _plot(found.figure.to_json(), wide=name in WIDE)
    except Exception as error:  # a panel must not cost the page
        said = str(error) if isinstance(error, EenasError) else f"{type(error).__name__}: {error}"
        listener(Notice(f"the panel {name} is not in the report: {said}"))
        return f'<section id="{name}"><p class="missing"><b>{name}</b>: {as_html(said)}</p></section>'
    return f'<section id="{name}">{found.above}{drawn}</section>'


def _plot(figure: str, *, wide: bool) -> str:
    kind = "plot panes" if wide else "plot"
    text = json_in_html(figure)
    return f'<div class="{kind}"></div><script type="application/json" class="figure">{text}</script>'


def _digests(scripts: Sequence[str]) -> str:
    """Return the sources of a content security policy that allow these inline scripts only."""
    digests = (hashlib.sha256(code.encode()).digest() for code in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _foot(source: ReportSource) -> list[str]:
    return [
        "<h2>How the numbers were measured</h2>",
        html_table(("", ""), conditions(source), is_text=True),
        "<h2>How to reproduce them</h2>",
        f"<pre>{as_html(chr(10).join(commands(source)))}</pre>",
        f"<details><summary>{SETTINGS}: the whole study file; save it next to the data that it names</summary>",
        f'<pre id="settings">{as_html(settings_text(source.results))}</pre></details>',
    ]


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{as_html(line)}</li>" for line in lines) + "</ul>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
