"""`eenas split`: write the part of an exported model for the edge and the part for the cloud."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, suggest, write_json


def split(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder exported with --format onnx or pt2.")],
    edge: Annotated[Path, typer.Argument(metavar="EDGE", help="New folder for the device.")],
    cloud: Annotated[Path, typer.Argument(metavar="CLOUD", help="New folder for the server.")],
    at: Annotated[str, typer.Option(metavar="CUT", help="The last cut point on the edge, such as layer2.1.")],
    report: Annotated[
        bool, typer.Option("--report", help="Measure bytes and accuracy of each codec at the split.")
    ] = False,
    data: options.Data = None,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Split an exported model between a device and a server.

    EDGE runs the model up to and including the cut point, with the exits there and before it; CLOUD runs the rest.
    Checksums in both tell whether they belong together. At an exit, the programs are copied. At any other cut point
    of the backbone, the segment around it is exported anew and compared with the network on the samples of the export
    or of --data.

    \b
    Examples:
      eenas split model edge/ cloud/ --at layer2.1
      eenas split model edge/ cloud/ --at layer2.1 --report
    """
    import json as writer

    from eenas.deployment.splitting import report_codecs, split_model

    found = split_model(folder, edge, cloud, at=at, data=data, trust_code=trust_code)
    effects = report_codecs(folder, edge, cloud, data=data, trust_code=trust_code) if report else ()
    if json:
        parity = None if found is None else found.to_table()
        write_json(writer.dumps({"parity": parity, "codecs": [vars(each) for each in effects]}, indent=2))
        return
    from eenas.cli.tables.exported_tables import codec_table, parity_line

    say(f"written: {edge} and {cloud}")
    if found is not None:
        say(parity_line(found))
    if effects:
        out().print(codec_table(effects))
    suggest("serve", str(cloud))
