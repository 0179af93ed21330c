"""A study's results on stdout: the summary in words, the front, and the front beside its baselines."""

from eenas.cli.console import out
from eenas.cli.tables import front_table, networks_table, shares_table
from eenas.reporting.front_table import backbone_row, front_rows, shares_rows
from eenas.reporting.selection import spread
from eenas.reporting.summary import summary
from eenas.search.results import StudyResults

ROWS = 12


def print_results(results: StudyResults, *, rows: int | None = ROWS) -> None:
    """Print at most `rows` points of the front, spaced over cost (all of them for None), and the baselines."""
    console = out()
    for line in summary(results):
        console.print(line, markup=False)
    console.print()
    if not results.front:
        return
    shown = spread(results.front, len(results.front) if rows is None else rows)
    chosen = [
        row for item, row in zip(results.front, front_rows(results), strict=True) if any(item is one for one in shown)
    ]
    title = "Front (* knee)"
    if len(chosen) < len(results.front):
        title = f"Front, {len(chosen)} of {len(results.front)} points, --all shows every one (* knee)"
    console.print(front_table([backbone_row(results.backbone), *chosen], title))
    console.print(networks_table(chosen))
    console.print(shares_table(shares_rows(results)))


def without_front(results: StudyResults) -> str:
    """One line that says why a study has no front, and what to do."""
    ended = [trial for trial in results.trials if trial.points]
    if not ended:
        return "no trial has finished; the same `eenas search` goes on, and its --debug shows why a trial failed"
    limits: dict[str, int] = {}
    for trial in ended:
        for violation in trial.violations:
            name = violation.split()[0]
            limits[name] = limits.get(name, 0) + 1
    broken = ", ".join(f"{name} ({count} of {len(ended)})" for name, count in limits.items())
    return f"no design keeps the constraints; broken: {broken}; loosen them in [constraints] or search longer"
