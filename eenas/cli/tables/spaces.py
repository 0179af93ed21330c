"""`eenas spaces`: list the search spaces, or explain one."""

from typing import TYPE_CHECKING, Annotated

import typer

from eenas.cli import options
from eenas.cli.backbone import Classes, InputSize
from eenas.cli.terminal.console import out, suggest

if TYPE_CHECKING:
    from eenas.designs.space import Space


def spaces(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A shipped space, or a TOML file.")] = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="Count the different architectures on this backbone.")
    ] = None,
    classes: Classes = 10,
    input_size: InputSize = None,
    trust_code: options.TrustCode = False,
) -> None:
    """List the search spaces, or explain one.

    With --backbone, the different architectures on that backbone are counted.

    \b
    Examples:
      eenas spaces
      eenas spaces default --backbone cifar_resnet20
    """
    from rich.text import Text

    from eenas import shipped
    from eenas.cli.tables.tables import table
    from eenas.designs.space import fitted_space, load_space
    from eenas.training.own_code import load_own_code

    names = [name] if name is not None else list(shipped.names("search_spaces"))
    found = {each: load_space(each) for each in names}
    for each in names if trust_code else ():
        home = shipped.find("search_spaces", each).parent
        load_own_code(found[each], trust_code=True, relative_to=home)
    counts: dict[str, str] = {}
    if backbone is not None:
        from eenas.cli.tables.profiles import architectures, profile_by_name

        size = options.size(input_size)
        _, profile = profile_by_name(backbone, classes=classes, input_size=size, trust_code=trust_code)
        for each, space in found.items():
            counts[each] = _count(architectures(fitted_space(space, profile), profile, classes))
    more = [f"architectures on {backbone}"] if counts else []
    if name is None:
        made = table(
            "", "space", "slots", "parameters", *(more or ("placement", "strategies")), "structures", right=(1, 2)
        )
        for each, space in found.items():
            row = [each, str(space.branches), str(len(space.parameters()))]
            row += (
                [counts[each]] if counts else [_values(space, key) for key in ("placement.kind", "training.strategy")]
            )
            made.add_row(*row, _structures(space))
            made.add_section()
        out().print(made)
        suggest("spaces", "default", backbone=backbone or "resnet50")
        return
    made = table("", "space", "version", "slots", "parameters", "digest", *more, right=range(1, 4))
    for each, space in found.items():
        row = [each, str(space.version), str(space.branches), str(len(space.parameters())), space.digest]
        made.add_row(*row, *([counts[each]] if counts else []))
    out().print(made)
    made = table("", "", "values", "drawn", "meaning", right=(2,))
    last = ""
    for line in found[name].explain():
        section, _, key = line.key.rpartition(".")
        if section != last:
            made.add_section()
            made.add_row(Text(f"[{section}]", style="bold"), "", "", "")
            last = section
        made.add_row(key, line.values, str(line.parameters) if line.parameters else "fixed", line.meaning)
    out().print(made)
    suggest("search", backbone=backbone or "resnet50", space=name, trust_code=trust_code)


def _values(space: "Space", key: str) -> str:
    from eenas.designs.space import values_of

    return ", ".join(map(str, values_of(space, key)))


def _structures(space: "Space") -> str:
    from eenas.designs.space import values_of

    slots = range(1, space.branches + 1)
    return ", ".join(dict.fromkeys(str(kind) for slot in slots for kind in values_of(space, f"slot{slot}.structure")))


def _count(number: int) -> str:
    if number < 10**7:
        return f"{number:,}"
    exponent = len(str(number)) - 1
    return f"{number / 10**exponent:.2f}e{exponent}" if exponent < 300 else f"about 1e{exponent}"
