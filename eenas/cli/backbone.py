"""`eenas backbone`: list the cut points of a backbone, with the costs of reaching each."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, suggest, write_json

Classes = Annotated[int, typer.Option(metavar="N", min=2, help="Number of classes.")]
InputSize = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Image size, or length of series or texts (default: the backbone's own)."),
]


def backbone(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A timm name, torchvision:NAME, hf:FOLDER, cifar_resnet20, ...")
    ],
    every: Annotated[bool, typer.Option("--all", help="Show every cut point, not only block ends.")] = False,
    classes: Classes = 10,
    input_size: InputSize = None,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """List the cut points of a backbone.

    Shows the shape of each cut point, and the MACs and parameters up to it, in absolute terms and as shares.

    \b
    Examples:
      eenas backbone cifar_resnet20
      eenas backbone resnet50 --all --classes 37 --input-size 224
    """
    from eenas.cli.tables.profiles import profile_by_name
    from eenas.cli.tables.tables import table
    from eenas.errors import plural
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
        f"{size_words(loaded.transform.inputs)}, {plural(classes, 'class', 'classes')}"
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
    task = {"series": "waves", "text": "phrases"}.get(loaded.transform.inputs.kind)
    suggest("search", backbone=name, task=task, trust_code=trust_code)
