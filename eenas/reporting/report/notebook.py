"""The display of a study in a notebook: its summary and the choices of its front."""

from eenas.percent import percent
from eenas.reporting.facts.front_table import backbone_row, point_row
from eenas.reporting.facts.summary import summary
from eenas.reporting.facts.wording import cost_word
from eenas.reporting.report.templates import render
from eenas.results.results import StudyResults


def notebook_html(results: StudyResults) -> str:
    """Return HTML without scripts or styles. The plain backbone comes first, and once."""
    choices = (point_row(item, results) for item in results.choices if item.kind != "plain")
    rows = [
        (
            row.name + (" (recommended)" if row.recommended else "") + (" (knee)" if row.knee else ""),
            percent(row.accuracy),
            *(text for cost in row.costs for text in (cost.text, cost.share_text())),
        )
        for row in (backbone_row(results), *choices)
    ]
    expected = (head for each in results.all_costs for head in (cost_word(each.name), "of the backbone"))
    return render("notebook.html", summary=summary(results), heads=("", "accuracy", *expected), rows=rows)
