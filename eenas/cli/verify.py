"""`eenas verify`: compare the programs in a model folder with its network again."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, write_json
from eenas.progress import Notice


def verify(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that eenas export wrote.")],
    data: options.Data = None,
    skip_bad: options.SkipBad = False,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Compare the programs of an export with its network.

    Compares checksums, the logits of every exit (within 1e-4) and every decision, on the samples of the export's
    comparison or on those of --data.

    \b
    Examples:
      eenas verify model
      eenas verify model --data folder:photos/
    """
    import dataclasses
    import json as writer

    from eenas.cli.tables.exported_tables import parity_line
    from eenas.deployment.program_folder import verify as compare

    found = compare(
        folder,
        data=data,
        skip_bad=skip_bad,
        trust_code=trust_code,
        listener=lambda event: say(event.text) if isinstance(event, Notice) else None,
    )
    if json:
        write_json(writer.dumps(dataclasses.asdict(found), indent=2))
        return
    out().print(parity_line(found))
