"""`eenas report`: a study as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import say
from eenas.cli.failures import one_of, quiet_optuna
from eenas.cli.progress import Lines


def report(
    best: Annotated[bool, typer.Option("--best", help="Draw the knee of the front.")] = False,
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(metavar="X", help="Draw the cheapest design that loses at most X (default: 0.01, else the knee)."),
    ] = None,
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="Draw the most accurate design within a share X of the backbone's MACs."),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="Draw the design of trial N.")] = None,
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page that is written.")] = Path("report.html"),
    page: Annotated[
        str, typer.Option(metavar="FILE", help="A file that lists the panels, or the name of a shipped one.")
    ] = "report",
    artifacts: options.Artifacts = None,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder of the runs of `eenas train`, or one run (default: runs)."),
    ] = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Make one HTML page of a study.

    It holds the front, one design with its policy explorer, and how the search went, and opens
    without a network.

    Example: eenas report --max-macs 0.5 --out report.html
    """
    one_of(best=best, max_accuracy_drop=max_accuracy_drop, max_macs=max_macs, trial=trial)
    from eenas.reporting.report_page import write_report
    from eenas.reporting.report_source import Asked
    from eenas.search.choice import Choice

    quiet_optuna()
    choice = Choice(trial=trial, max_accuracy_drop=max_accuracy_drop, max_macs=max_macs)
    asked = Asked(
        choice=choice if best or choice != Choice() else None,
        artifacts=artifacts,
        runs=runs,
        page=page,
        trust_code=trust_code,
    )
    written = write_report(storage, out, name=name, asked=asked, listener=Lines(say))
    say(f"the report is in {written}")
