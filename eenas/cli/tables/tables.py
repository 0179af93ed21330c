"""Tables of the command line, drawn with rich from rows of facts, at most 100 columns wide."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Column, Table

from eenas.cli.terminal.console import WIDTH
from eenas.percent import percent
from eenas.policies.costs import KNOWN
from eenas.policies.split_costs import split_words
from eenas.reporting.facts.front_table import SHARES, FrontRow, SharesRow, exits_of, networks
from eenas.reporting.facts.row_cost import RowCost
from eenas.reporting.facts.wording import ROBUSTNESS_WORDS, place
from eenas.tier_names import SPLIT_COSTS


def table(title: str, *columns: str, right: Sequence[int] = ()) -> Table:
    """Return an empty table. `right` are the indices of right-aligned columns."""
    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        min_width=min(len(title), WIDTH),
    )
    for index, column in enumerate(columns):
        made.add_column(
            column, justify="right" if index in right else "left", overflow="fold", no_wrap=index in right or not column
        )
    return made


def front_table(rows: Sequence[FrontRow], title: str, *, width: int = WIDTH) -> Table:
    """Return points of the front: absolute and relative costs, the worst case, and the share that leaves at each exit.

    The study's own costs are in `own_costs_tables`, because this table is limited in width. A table that does not fit
    into `width` columns lacks the worst case, and its caption says so.
    """
    made = _front_table(rows, title, with_worst=True)
    needed = sum(_least(column) + 1 for column in made.columns) + 1
    if needed <= width:
        return made
    made = _front_table(rows, title, with_worst=False)
    made.caption = f"the worst case is left out: it needs {needed} columns, this terminal has {width}"
    made.caption_justify = "left"
    return made


def _least(column: Column) -> int:
    """Return the least width of a column in which no word is broken and no figure is cut."""
    texts = [str(column.header), *(str(cell) for cell in column.cells)]
    parts = [part for text in texts for part in (text.split("\n") if column.no_wrap else text.split())]
    return max((cell_len(part) for part in parts), default=0)


def _front_table(rows: Sequence[FrontRow], title: str, *, with_worst: bool) -> Table:
    share, leaving = "of the\nbackbone", "% leaving\nat each exit"
    words = [cost.word for cost in _known(rows[0])] if rows else []
    expected = (head for word in words for head in (word, share))
    worst = (f"worst\n{word}" for word in words if with_worst)
    columns = ("", "accuracy", *expected, *worst, leaving)
    marks = {"recommended": "▸", "knee": "*"}
    made = table(title, *columns, right=range(1, len(columns) - 1))
    for row in rows:
        made.add_row(
            " ".join((row.name, *(mark for name, mark in marks.items() if getattr(row, name)))),
            percent(row.accuracy),
            *(text for cost in _known(row) for text in (cost.text, cost.share_text(0))),
            *(cost.worst_text(0) for cost in _known(row) if with_worst),
            _leaving(row),
        )
    return made


def own_costs_tables(rows: Sequence[FrontRow]) -> list[Table]:
    """Return a table of the same points for each of the study's own costs, and one of their splits between tiers."""
    names = [cost.name for cost in rows[0].costs if cost.name not in KNOWN] if rows else []
    if not any(row.split is not None for row in rows):
        return [_own_cost_table(rows, name) for name in names]
    own = [_own_cost_table(rows, name) for name in names if name not in SPLIT_COSTS]
    return [_splits_table(rows, [name for name in names if name in SPLIT_COSTS]), *own]


def _splits_table(rows: Sequence[FrontRow], names: Sequence[str]) -> Table:
    """Return the best split of each point, with its latency over the tiers and the other costs under that split."""
    first = rows[0].cost(names[0])
    heads = ("", "split", first.word, "of the\nbackbone", "worst", *(rows[0].cost(name).word for name in names[1:]))
    made = table("Their best split between the tiers", *heads, right=range(2, len(heads)))
    for row in rows:
        cost, others = row.cost(names[0]), (row.cost(name).text for name in names[1:])
        split = "–" if row.split is None else split_words(row.split)
        made.add_row(row.name, split, cost.text, cost.share_text(), cost.worst_text(), *others)
    return made


def robustness_table(rows: Sequence[FrontRow]) -> Table | None:
    """Return the accuracies of the same points under distortions, or None if they were not measured."""
    names = list(dict.fromkeys(name for row in rows for name in row.robustness))
    if not names:
        return None
    heads = (ROBUSTNESS_WORDS[name] for name in names)
    made = table("Their accuracy under distortions", "", "pristine", *heads, right=range(1, 2 + len(names)))
    for row in rows:
        found = (row.robustness.get(name) for name in names)
        made.add_row(row.name, percent(row.accuracy), *("–" if each is None else percent(each) for each in found))
    return made


def _own_cost_table(rows: Sequence[FrontRow], name: str) -> Table:
    costs = [next(cost for cost in row.costs if cost.name == name) for row in rows]
    made = table(f"Their {costs[0].word}", "", costs[0].word, "of the\nbackbone", "worst", right=range(1, 4))
    for row, cost in zip(rows, costs, strict=True):
        made.add_row(row.name, cost.text, cost.share_text(), cost.worst_text())
    return made


def _known(row: FrontRow) -> Sequence[RowCost]:
    """Return the costs that every study has."""
    return [cost for cost in row.costs if cost.name in KNOWN]


def _leaving(row: FrontRow) -> str:
    if row.ends_at:
        return f"all at {place(row.ends_at)}"
    return " ".join(f"{100 * share:.0f}" for share in row.leaving) or "–"


def networks_table(rows: Iterable[FrontRow]) -> Table:
    """Return the networks behind points of the front, each once: its exits in depth order with their branches.

    Training and decisions are added where they differ from the defaults.
    """
    made = table("Their exits, and the branch at each", "", "cut point: branch")
    for row, how in networks(rows):
        made.add_row(row.name, "\n".join(filter(None, (exits_of(row), how))))
    return made


def shares_table(rows: Iterable[SharesRow]) -> Table:
    """Return the best accuracy within shares of the backbone's MACs: the front, then each kind of network."""
    made = table(
        "Best accuracy within a share of the backbone's MACs",
        "",
        *(percent(share, 0) for share in SHARES),
        right=range(1, 5),
    )
    for row in rows:
        cells = [
            percent(accuracy) + (f"\n{network}" if network and row.name == "front" else "")
            for accuracy, network in zip(row.accuracies, row.networks, strict=True)
        ]
        made.add_row(row.name, *cells)
    return made
