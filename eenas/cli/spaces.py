"""`eenas spaces`: list the search spaces, or explain one."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.backbone import Classes, InputSize
from eenas.cli.console import out, suggest


def spaces(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A shipped space or a TOML file.")] = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="Count the different architectures on this backbone.")
    ] = None,
    classes: Classes = 10,
    input_size: InputSize = None,
    trust_code: options.TrustCode = False,
) -> None:
    """List the search spaces, or explain one.

    With --backbone the different architectures of a space are counted on that backbone.

    Example: eenas spaces default --backbone cifar_resnet20
    """
    from eenas import shipped
    from eenas.cli.tables import table
    from eenas.designs.space import load_space

    names = [name] if name is not None else list(shipped.names("search_spaces"))
    found = {each: load_space(each) for each in names}
    counts: dict[str, str] = {}
    if backbone is not None:
        from eenas.cli.profiles import architectures, profile_by_name

        _, profile = profile_by_name(backbone, classes=classes, input_size=input_size, trust_code=trust_code)
        counts = {each: _count(architectures(space, profile, classes)) for each, space in found.items()}
    head = ["space", "version", "slots", "parameters", "digest"]
    made = table("", *head, *([f"architectures on {backbone}"] if counts else []), right=range(1, 4))
    for each, space in found.items():
        row = [each, str(space.version), str(space.branches), str(len(space.parameters())), space.digest]
        made.add_row(*row, *([counts[each]] if counts else []))
    out().print(made)
    if name is None:
        suggest("spaces", names[0] if names else "", backbone=backbone or "resnet50")
        return
    made = table("", "key", "values", "drawn", "meaning", right=(2,))
    for line in found[name].explain():
        made.add_row(line.key, line.values, str(line.parameters) if line.parameters else "fixed", line.meaning)
    out().print(made)
    suggest("search", backbone=backbone or "resnet50", space=name)


def _count(number: int) -> str:
    if number < 10**7:
        return f"{number:,}"
    exponent = len(str(number)) - 1
    return f"{number / 10**exponent:.2f}e{exponent}" if exponent < 300 else f"about 1e{exponent}"
