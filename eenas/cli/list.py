"""`eenas list`: list the names of backbones, branches, policies and other parts."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, write_json


def list_names(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="backbones, branches, policies, ... (default: all kinds).")
    ] = None,
    filter: Annotated[str, typer.Argument(metavar="FILTER", help='A pattern such as "resnet*".')] = "",
    json: options.Json = False,
) -> None:
    """List the names for commands, spaces and studies.

    \b
    Examples:
      eenas list policies
      eenas list backbones "*resnet50*"
    """
    from json import dumps

    from rich.text import Text

    from eenas.cli.tables.tables import table
    from eenas.errors import SpecError, nearest
    from eenas.escaping import shortened
    from eenas.handle.lists import LISTS

    if kind is not None and kind not in LISTS:
        raise SpecError(f"unknown list {shortened(kind)}; {nearest(kind, LISTS)}")
    found = {each: names(filter) for each, names in LISTS.items() if kind in (None, each)}
    if json:
        write_json(dumps(found, indent=2))
        return
    if kind is not None:
        for name in found[kind]:
            out().print(Text(name), soft_wrap=True)
        return
    made = table("", "kind", "names")
    for each, names in found.items():
        many = f"{len(names):,}, such as {', '.join(names[:3])}; eenas list {each} prints all"
        made.add_row(each, many if len(names) > 30 else ", ".join(names))
        made.add_section()
    out().print(made)
