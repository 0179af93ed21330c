"""The results of a study on stdout: the summary, the front, and the best of each kind of network."""

from collections.abc import Sequence

from eenas.cli.tables.tables import front_table, networks_table, own_costs_tables, robustness_table, shares_table
from eenas.cli.terminal.console import out
from eenas.errors import plural
from eenas.reporting.facts.front_table import FrontRow, backbone_row, point_row, shares_rows
from eenas.reporting.facts.selection import spread, with_best
from eenas.reporting.facts.summary import summary
from eenas.results.results import StudyResults
from eenas.runs.run_report import largest_words
from eenas.study.rivals.offered_points import FrontPoint

ROWS = 12
MARKS = {"recommended": "▸ recommended", "knee": "* knee"}


def print_results(results: StudyResults, *, rows: int | None = ROWS) -> None:
    """Print at most `rows` choices of the front, spaced over cost (None: every point), and the baselines."""
    console = out()
    for line in summary(results):
        console.print(line)
    console.print()
    if not results.front:
        return
    points = results.front if rows is None else with_best(results, spread(results.choices, rows))
    shown = _rows(results, points)
    title = _title(results, shown, len(points), every=rows is None)
    console.print(front_table([backbone_row(results), *shown], title, width=console.width))
    _print_own_costs(results, shown)
    _print_robustness(results, shown)
    if shown:
        console.print(networks_table(shown))
    console.print(shares_table(shares_rows(results)))


def print_network(results: StudyResults, points: tuple[FrontPoint, ...]) -> None:
    """Print the operating points of one network."""
    shown = list(dict.fromkeys(point_row(item, results) for item in points))
    console = out()
    title = f"Operating points of {shown[0].name}"
    console.print(front_table([backbone_row(results), *shown], title, width=console.width))
    _print_own_costs(results, shown)
    _print_robustness(results, shown)
    console.print(networks_table(shown))


def _print_robustness(results: StudyResults, shown: Sequence[FrontRow]) -> None:
    """Print accuracies under distortions, if they were measured."""
    if (made := robustness_table([backbone_row(results), *shown])) is not None:
        out().print(made)


def _print_own_costs(results: StudyResults, shown: Sequence[FrontRow]) -> None:
    """Print the study's own costs, if any."""
    for made in own_costs_tables([backbone_row(results), *shown]):
        out().print(made)


def _rows(results: StudyResults, points: tuple[FrontPoint, ...]) -> list[FrontRow]:
    return [point_row(item, results) for item in points if item.kind != "plain"]


def _title(results: StudyResults, rows: Sequence[FrontRow], shown: int, *, every: bool) -> str:
    """Return the title of the front's table, with the meaning of its marks and the number of samples."""
    on = (
        f"{results.measure} on {results.samples:,} validation samples{largest_words(results.largest_class)}"
        if results.samples
        else f"{results.measure} on validation"
    )
    marks = [words for name, words in MARKS.items() if any(getattr(row, name) for row in rows)]
    hidden = len(results.front) - shown
    more = [f"--all shows {plural(hidden, 'more point')}"] if hidden else []
    notes = ", ".join([*marks, *more])
    return f"Front{', every point' if every else ''}{f' ({notes})' if notes else ''}; {on}"
