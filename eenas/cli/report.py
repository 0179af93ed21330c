"""`eenas report`: a study as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import say
from eenas.cli.failures import quiet_optuna
from eenas.cli.progress import Lines


def report(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page that is written.")] = Path("report.html"),
    page: Annotated[
        str, typer.Option(metavar="FILE", help="A file that lists the panels, or the name of a shipped one.")
    ] = "report",
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Make one HTML page of a study.

    It holds the front, the recommended design, its policy explorer and how the search went, and opens
    without a network.

    Example: eenas report --out report.html
    """
    from eenas.reporting.report_page import write_report

    quiet_optuna()
    written = write_report(
        storage, out, name=name, artifacts=artifacts, page=page, trust_code=trust_code, listener=Lines(say)
    )
    say(f"the report is in {written}")
