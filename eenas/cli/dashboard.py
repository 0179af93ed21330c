"""`eenas dashboard`: open optuna-dashboard on a storage."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import say
from eenas.cli.terminal.failures import quiet_storage
from eenas.cli.terminal.progress import Lines


def dashboard(
    storage: options.Storage = options.STORAGE,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 selects a free one.")] = 8080,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Open optuna-dashboard on the studies.

    The figures are at the bottom of the first page of a study. Its Note page contains the summary.

    \b
    Examples:
      eenas dashboard
      eenas dashboard --port 8081
    """
    from eenas.reporting.dashboard.dashboard import serve

    quiet_storage()
    try:
        serve(storage, host=host, port=port, artifacts=artifacts, trust_code=trust_code, listener=Lines(say))
    except KeyboardInterrupt:
        say("dashboard closed")
