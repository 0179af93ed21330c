"""`eenas status`: what a study and its workers are doing."""

import time
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, suggest, write, write_json
from eenas.cli.terminal.failures import quiet_storage


def status(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    json: options.Json = False,
    watch: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.1, help="Print again every SECONDS until the study is done."),
    ] = None,
) -> None:
    """Show what a study and its workers are doing.

    Lists the workers and what each one does, trials by state, the pace, the estimated time left, and the best
    network so far. With --watch and --json, each line is one JSON object. Ctrl-C ends --watch.

    \b
    Examples:
      eenas status --watch 10
      eenas status --storage postgresql://host/db --json
    """
    import json as writer

    from eenas.cli.tables.status_tables import print_status
    from eenas.results.status import Watch

    quiet_storage()
    watched = Watch(storage, name)
    try:
        while True:
            found = watched.status()
            if not json:
                print_status(out(), found)
            elif watch is None:
                write_json(writer.dumps(found.to_table(), indent=2))
            else:
                write(writer.dumps(found.to_table()) + "\n")
            if watch is None or found.is_done:
                break
            time.sleep(watch)
    except KeyboardInterrupt:
        return
    if json:
        return
    if found.is_done:
        suggest("front", **options.study_flags(storage, found.study))
    elif not found.alive:
        say("no worker is alive; rerun the command of the search, with the same flags, to resume it")
