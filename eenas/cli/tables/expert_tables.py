"""Tables of the worth of experts: on each kind and severity, and of each expert."""

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.escaping import one_line
from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.percent import percent


def experts_table(found: ExpertFigures) -> Table:
    """Return a table with one row for each context of the test split."""
    made = table(
        "accuracy and share of the backbone's MACs on test images, with experts and without",
        *("images", "accuracy", "without", "MACs", "without", "answered by"),
        right=range(1, 5),
    )
    for each in found.contexts:
        shares = zip(found.names, each.chosen, strict=True)
        made.add_row(
            one_line(each.context),
            percent(each.accuracy),
            percent(each.plain_accuracy),
            percent(each.macs / found.backbone_macs),
            percent(each.plain_macs / found.backbone_macs),
            ", ".join(f"{name} {percent(share, 0)}" for name, share in shares if share > 0),
        )
    share = found.classifier_macs / found.backbone_macs
    made.caption = f"choosing the expert takes {found.classifier_macs:,} MACs, {percent(share, 2)} of the backbone's"
    if found.size:
        made.caption += f"; {found.size}"
    made.caption_justify = "left"
    return made


def worth_table(found: ExpertFigures) -> Table:
    """Return a table with the worth of each expert, and how often its images go to each expert."""
    made = table(
        "Worth of each expert on test images of its kind, and the experts that answer them",
        *("expert", "accuracy", "without", "worth", *found.names),
        right=range(1, 4 + len(found.names)),
    )
    for each in found.worth:
        made.add_row(
            one_line(each.expert),
            percent(each.accuracy),
            percent(each.plain_accuracy),
            f"{100 * (each.accuracy - each.plain_accuracy):+z.1f}",
            *(percent(share, 0) for share in each.chosen),
        )
    return made
