"""`eenas backbone`: the cut points of a backbone, where branches may stand, and what the way to each costs."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import out, suggest, write_json

Classes = Annotated[int, typer.Option(metavar="N", min=2, help="Classes of the task.")]
InputSize = Annotated[
    str | None, typer.Option(metavar="N|HxW", help="Size of images, or length of series (default: the backbone's own).")
]


def backbone(
    name: Annotated[str, typer.Argument(metavar="NAME", help="timm name, torchvision:NAME, cifar_resnet20, ...")],
    every: Annotated[bool, typer.Option("--all", help="Every cut point, not only the ends of blocks.")] = False,
    classes: Classes = 10,
    input_size: InputSize = None,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """List where a backbone can be cut.

    Each cut point with its shape, and the MACs and parameters of the way to it, also as shares of the whole.

    Example: eenas backbone cifar_resnet20
    """
    from eenas.cli.tables.profiles import profile_by_name
    from eenas.cli.tables.tables import table
    from eenas.percent import percent
    from eenas.reporting.facts.backbone_facts import backbone_rows, profile_json, size_words
    from eenas.reporting.facts.wording import quantity

    size = options.size(input_size)
    loaded, profile = profile_by_name(
        name,
        cut_points="all" if every else "blocks",
        classes=classes,
        input_size=size,
        trust_code=trust_code,
    )
    if json:
        write_json(profile_json(profile, loaded.transform.inputs, classes=classes))
        return
    title = (
        f"{name}: {len(profile.cut_points)} of {len(loaded.all_cut_points)} cut points, "
        f"{size_words(loaded.transform.inputs)}, {classes} classes"
    )
    made = table(title, "cut point", "shape", "MACs to here", "share", "parameters", "share", right=(2, 3, 4, 5))
    for row in backbone_rows(profile):
        share, weight = percent(row.macs_share), percent(row.parameters_share)
        made.add_row(row.name, row.shape, quantity(row.macs), share, quantity(row.parameters), weight)
    made.add_section()
    made.add_row(
        "whole backbone", "", quantity(profile.total_macs), "100 %", quantity(profile.total_parameters), "100 %"
    )
    out().print(made)
    task = "waves" if loaded.transform.inputs.kind == "series" else None
    suggest("search", backbone=name, task=task, trust_code=trust_code)
