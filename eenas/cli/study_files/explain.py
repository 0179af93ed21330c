"""`eenas explain`: print what a key of a study, space or dashboard file means."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, write_json


def explain(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A key, its last word, or a table (default: list all keys).")
    ] = None,
    json: options.Json = False,
) -> None:
    """Explain a key of a study, space or dashboard file.

    Prints the type, the default and the meaning; for a table those of all its keys.

    \b
    Examples:
      eenas explain search.trials
      eenas explain latency
    """
    from dataclasses import asdict
    from json import dumps
    from textwrap import wrap

    from rich.text import Text

    from eenas.manual.keys import NEEDED, find_keys, keys

    found = keys() if key is None else find_keys(key)
    if json:
        write_json(dumps([asdict(each) for each in found], indent=2))
        return
    if key is None:
        for name in dict.fromkeys(f"{each.key}  ({each.file})" for each in found):
            out().print(Text(name), soft_wrap=True)
        return
    for each in found:
        where = f"{each.file} file" + (f", {each.note}" if each.note else "")
        out().print(Text.assemble((each.key, "bold"), f"  ({where})"), soft_wrap=True)
        said = each.default if each.default in ("", NEEDED) else f"default: {each.default}"
        default = f"; {said}" if said else ""
        for line in (*wrap(each.type + default, 96), *wrap(each.meaning, 96)):
            out().print(Text(f"    {line}"), soft_wrap=True)
