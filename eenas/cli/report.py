"""`eenas report`: write a study as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.choosing import choice_of
from eenas.cli.terminal.console import say, write_json
from eenas.cli.terminal.failures import quiet_storage
from eenas.cli.terminal.progress import Lines
from eenas.errors import EenasError


def report(
    context: typer.Context,
    best: options.Best = False,
    knee: options.Knee = False,
    network: options.Network = None,
    trial: options.Trial = None,
    max_accuracy_drop: options.MaxAccuracyDrop = None,
    max_macs: options.MaxMacs = None,
    max_latency_ms: options.MaxLatency = None,
    max_worst_macs: options.MaxWorstMacs = None,
    max_worst_latency_ms: options.MaxWorstLatency = None,
    limit: options.Limit = None,
    min_accuracy: options.MinAccuracy = None,
    max_parameters: options.MaxParameters = None,
    max_branches: options.MaxBranches = None,
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    page: Annotated[
        str, typer.Option(metavar="FILE", help="A file that lists the panels, or the name of a shipped page.")
    ] = "report",
    artifacts: options.Artifacts = None,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder of the runs of `eenas train`, or one run (default: runs)."),
    ] = None,
    trust_code: options.TrustCode = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write no page; print facts on errors and maps of the exits as JSON.")
    ] = False,
) -> None:
    """Write a study as one HTML page.

    The page shows the front, one network (by default the recommended one) with its policy explorer, and the
    progress of the search. It opens without a connection.

    \b
    Examples:
      eenas report --out report.html
      eenas report --max-macs 0.5 --out report.html
    """
    if given := " ".join(context.args):
        raise EenasError(f"report takes no folder, got {given!r}; add a run with --runs {given}")
    from eenas.reporting.report.report_facts import facts_json
    from eenas.reporting.report.report_page import write_report
    from eenas.reporting.report.report_source import Asked, open_source
    from eenas.results.choice import Choice
    from eenas.study.settings.reference import StudyReference

    quiet_storage()
    choice = choice_of(
        best=best,
        knee=knee,
        network=network,
        trial=trial,
        max_accuracy_drop=max_accuracy_drop,
        max_macs=max_macs,
        max_latency_ms=max_latency_ms,
        max_worst_macs=max_worst_macs,
        max_worst_latency_ms=max_worst_latency_ms,
        min_accuracy=min_accuracy,
        max_parameters=max_parameters,
        max_branches=max_branches,
        others=options.limits(limit),
    )
    asked = Asked(choice=choice if choice != Choice() else None, runs=runs, page=page)
    if json:
        reference = StudyReference(storage=storage, name=name, artifacts=artifacts, trust_code=trust_code)
        write_json(facts_json(open_source(reference, asked)))
        return
    written = write_report(
        storage, out, asked=asked, name=name, artifacts=artifacts, trust_code=trust_code, listener=Lines(say)
    )
    say(f"written: {written}")
