"""`eenas run`: answer files of samples with an exported model, and time each answer."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.serving.server_flags import (
    CaFile,
    Codec,
    Compression,
    DeadlineMs,
    RemoteUrl,
    SplitAt,
    SplitTableFile,
    TokenFile,
    server_flags,
)
from eenas.cli.terminal.console import out, say, write_json
from eenas.cli.terminal.failures import WRONG_INPUT
from eenas.escaping import one_line


def run(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder exported with --format onnx or pt2.")],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...", help="Image files, .npy files of series, .npz files of graphs, folders, or texts."
        ),
    ],
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="Use the operating point within a share X of the backbone's MACs."),
    ] = None,
    limit: options.Limit = None,
    provider: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device for the computation.")] = "cpu",
    threads: options.Threads = None,
    remote: RemoteUrl = None,
    split: SplitAt = None,
    split_table: SplitTableFile = None,
    codec: Codec = None,
    compression: Compression = None,
    deadline_ms: DeadlineMs = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Answer files or texts with an exported model.

    Samples are answered one at a time. Prints the class, its confidence, the exit that answered, and the time of each
    sample. Unreadable files get an error line and exit status 2; the others are answered. A model of texts answers
    texts and the lines of .txt files.

    With --remote, samples that do not leave up to the split are answered by a server (`eenas serve`), and by the last
    exit here if it does not answer in time. OUT is then an edge folder of `eenas split`, or a model with --split.

    \b
    Examples:
      eenas run model photo.png
      eenas run model photo.png --max-macs 0.5
    """
    import json as writer

    from eenas.errors import LinkError
    from eenas.programs.file_answers import FileAnswer, answer_files
    from eenas.programs.runtime import load

    flags = {"split": split, "codec": codec, "compression": compression, "deadline_ms": deadline_ms}
    way = server_flags(remote, flags, token_file, ca_file, split_table)
    model = load(folder, provider=provider, threads=threads, trust_code=trust_code, remote=remote, **way)
    budget = {"max_macs": max_macs, **options.limits(limit)}
    if any(value is not None for value in budget.values()):
        model.set_budget(**{name.removeprefix("max_"): value for name, value in budget.items()})
    if model.remote is not None:
        try:
            model.remote.connect()
        except LinkError as error:
            say(f"warning: {error}")
    found = list(answer_files(model, files))
    if model.remote is not None:
        model.remote.close()
    answers = [one for one in found if isinstance(one, FileAnswer)]
    others = [one for one in found if not isinstance(one, FileAnswer)]
    if json:
        tried = [one for one in found if isinstance(one, FileAnswer) or not one.hidden]
        tables = [{**vars(one), "file": None if one.file is None else one_line(str(one.file))} for one in tried]
        given = [{name: value for name, value in table.items() if value is not None} for table in tables]
        write_json(writer.dumps(given, indent=2))
    elif answers:
        from eenas.cli.tables.exported_tables import answers_table

        out().print(answers_table(answers))
    if longer := [one.truncated for one in answers if one.truncated is not None]:
        has = "text has" if len(longer) == 1 else "texts have"
        say(f"{len(longer):,} {has} more than {max(longer):,} tokens; the rest was not read")
    for one in others:
        say(one.reason if one.hidden else f"error: {one.reason}")
    if any(not one.hidden for one in others):
        raise typer.Exit(WRONG_INPUT)
