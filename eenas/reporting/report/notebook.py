"""A study as a notebook shows it: its summary and the choices of its front."""

from eenas.escaping import as_html
from eenas.percent import percent
from eenas.reporting.facts.front_table import backbone_row, choice_rows
from eenas.reporting.facts.summary import summary
from eenas.reporting.facts.wording import milliseconds, quantity, times
from eenas.reporting.report.html_table import html_table
from eenas.results.results import StudyResults

_HEADS = ("", "accuracy", "MACs", "of the backbone", "latency", "of the backbone")


def notebook_html(results: StudyResults) -> str:
    """HTML without scripts or styles."""
    lines = "".join(f"<p>{as_html(line)}</p>" for line in summary(results))
    rows = [
        (
            row.name + (" (recommended)" if row.recommended else "") + (" (knee)" if row.knee else ""),
            percent(row.accuracy),
            quantity(row.macs),
            percent(row.macs_share),
            milliseconds(row.latency_ms),
            times(row.latency_share),
        )
        for row in (backbone_row(results.backbone), *choice_rows(results))
    ]
    return f"<div>{lines}{html_table(_HEADS, rows)}</div>"
