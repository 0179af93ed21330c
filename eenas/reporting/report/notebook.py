"""The display of a study in a notebook: its summary and the choices of its front."""

from eenas.escaping import as_html
from eenas.percent import percent
from eenas.reporting.facts.front_table import backbone_row, choice_rows
from eenas.reporting.facts.summary import summary
from eenas.reporting.facts.wording import cost_word
from eenas.reporting.report.html_table import html_table
from eenas.results.results import StudyResults


def notebook_html(results: StudyResults) -> str:
    """Return HTML without scripts or styles."""
    lines = "".join(f"<p>{as_html(line)}</p>" for line in summary(results))
    rows = [
        (
            row.name + (" (recommended)" if row.recommended else "") + (" (knee)" if row.knee else ""),
            percent(row.accuracy),
            *(text for cost in row.costs for text in (cost.text, cost.share_text())),
        )
        for row in (backbone_row(results), *choice_rows(results))
    ]
    expected = (head for each in results.all_costs for head in (cost_word(each.name), "of the backbone"))
    return f"<div>{lines}{html_table(('', 'accuracy', *expected), rows)}</div>"
