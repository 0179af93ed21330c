"""The flags for a server that runs the rest of a model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from eenas.bounds import read_file, read_json
from eenas.errors import EenasError

TOKEN_VARIABLE = "EENAS_SERVE_TOKEN"
"""The environment variable with the token, if no file is given."""

RemoteUrl = Annotated[
    str | None, typer.Option("--remote", metavar="URL", help="Server with the rest of the model: http://host:8000.")
]
SplitAt = Annotated[
    str | None, typer.Option("--split", metavar="CUT", help="The last cut point here ('': none, final: all).")
]
SplitTableFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table in JSON that chooses the split by the measured link.")
]
Codec = Annotated[
    str | None, typer.Option(metavar="NAME", help="float32, float16, int8 or int8_channel, for what is sent.")
]
Compression = Annotated[
    str | None, typer.Option(metavar="NAME", help="none, deflate, gzip, zstd or lz4, for what is sent.")
]
DeadlineMs = Annotated[
    float | None, typer.Option(metavar="X", help="Milliseconds until the last exit here answers (default: 1000).")
]
TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help=f"File with the token of the server (default: ${TOKEN_VARIABLE}).")
]
CaFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Certificates to trust for https, in PEM.")]


def server_flags(
    remote: str | None,
    flags: Mapping[str, Any],
    token_file: Path | None,
    ca_file: Path | None,
    split_table: Path | None,
) -> dict[str, Any]:
    """Return the options of `load` in flags. Raises EenasError for a file that cannot be read."""
    found = {name: value for name, value in flags.items() if value is not None}
    if ca_file is not None:
        found["ca_file"] = str(ca_file)
    if split_table is not None:
        from eenas.programs.remote.split_table import SplitTable

        try:
            found["table"] = SplitTable.from_table(read_json(split_table))
        except EenasError as error:
            text = str(error).removeprefix(f"{split_table}: ")
            raise EenasError(f"--split-table {split_table}: {text}") from None
    if token_file is not None:
        try:
            lines = read_file(token_file, 10_000).decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise EenasError(
                f"--token-file {token_file}: cannot be read ({reason}); give a text file with the token in "
                f"its first line, or set {TOKEN_VARIABLE}"
            ) from None
        found["token"] = lines[0].strip() if lines else ""
    elif remote is not None and (token := os.environ.get(TOKEN_VARIABLE)):
        found["token"] = token
    return found
