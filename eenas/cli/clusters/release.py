"""`eenas release`: end a lease whose holder is alive but stuck, so that waiting workers go on."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, write_json


def release(
    lease: Annotated[
        str, typer.Argument(metavar="LEASE", help="Its name, as a waiting worker says it (default: list all).")
    ] = "",
    storage: options.Storage = options.STORAGE,
    json: options.Json = False,
) -> None:
    """End a lease whose holder is stuck, or list held leases.

    \b
    Examples:
      eenas release
      eenas release study/resnet50-digits-3f9a1c
    """
    from dataclasses import asdict
    from json import dumps

    from rich.text import Text

    from eenas.errors import StudyError, nearest
    from eenas.records.database import Database
    from eenas.records.leases import Leases

    leases = Leases(Database(storage, create=False))
    if not lease:
        held = leases.held()
        if json:
            write_json(dumps([asdict(each) for each in held], indent=2))
            return
        for each in held:
            out().print(Text(f"{each.name}: held by {each.text}"), soft_wrap=True)
        if not held:
            say("no lease is held")
        return
    holder = leases.release(lease)
    if holder is None:
        names = [each.name for each in leases.held()]
        hint = nearest(lease, names) if names else "no lease is held"
        raise StudyError(f"no worker holds the lease {lease!r}; {hint}")
    if json:
        write_json(dumps(asdict(holder), indent=2))
        return
    say(f"the lease {lease} is free; {holder.text} held it, and uses the results of others if it wakes up")
