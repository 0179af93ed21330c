"""The Markdown notes of a study and of its trials, which optuna-dashboard shows beside the figures."""

from collections import Counter
from collections.abc import Iterable, Sequence

from eenas.designs.design import Design
from eenas.escaping import as_markdown
from eenas.percent import percent
from eenas.policies.split_costs import split_words
from eenas.records.workers import WorkerRecord
from eenas.reporting.facts.front_table import (
    SHARES,
    FrontRow,
    choice_rows,
    exits_of,
    front_rows,
    networks,
    point_row,
    shares_rows,
)
from eenas.reporting.facts.selection import spread
from eenas.reporting.facts.summary import summary
from eenas.reporting.facts.wording import cost_word
from eenas.results.results import StudyResults
from eenas.study.rivals.offered_points import FrontPoint

NOTE_ROWS = 10
GAP = "&nbsp;&nbsp;"
"""Space between the cells of a table, since optuna-dashboard adds none."""


def study_note(results: StudyResults) -> str:
    """Return the study's note: the summary, the accuracy at shares of the backbone's MACs, and points of the front."""
    parts = [f"## {as_markdown(results.name)}", "", *(f"- {as_markdown(line)}" for line in summary(results))]
    if results.front:
        parts += ["", "### Best accuracy within a share of the backbone's MACs", "", *_shares_table(results)]
        parts += ["", "### Choices of the front", "", *_front_table(results)]
    if results.workers:
        rows = [(each.name, each.device, _trial(each), each.doing) for each in results.workers]
        parts += ["", "### Workers", "", *_table(("worker", "device", "trial", "doing"), rows, left=(0, 1, 3))]
    reasons = Counter(trial.reason for trial in results.trials if trial.state == "failed" and trial.reason)
    if reasons:
        parts += ["", "### Failed trials", ""]
        parts += [f"- {number} ×: {as_markdown(reason)}" for reason, number in reasons.most_common(5)]
    return "\n".join(parts) + "\n"


def trial_note(results: StudyResults, number: int) -> str:
    """Return the note of a trial on the front: its branches and its points (at most ten, spaced over cost)."""
    points = [item for item in results.front if item.trial == number]
    trial = next((trial for trial in results.trials if trial.number == number), None)
    origin = f" ({as_markdown(trial.origin)})" if trial is not None else ""
    parts = [f"## Trial {number}, on the front{origin}", ""]
    if points:
        design = points[0].design
        parts += [*_exits(design, trial.exit_accuracy if trial is not None else ()), ""]
        hows = (how for _, how in networks(row for row in front_rows(results) if row.trial == number))
        how = " or ".join(dict.fromkeys(filter(None, hows)))  # of the network with all its exits, and of its static one
        parts += [as_markdown(f"Not the default: {how}."), ""] if how else []
        parts += [*_provenance(design), ""]
    rows = [
        (
            f"{percent(item.point.accuracy)}{_marks(item)}",
            costs[0].text,
            costs[0].share_text(),
            *(cost.text for cost in costs[1:]),
            *([] if item.point.split is None else [split_words(item.point.split)]),
            _leaving(item.point.shares) if item.ends_at is None else f"all at {item.network.exits[0]}",
        )
        for item in spread(points, NOTE_ROWS)
        for costs in (point_row(item, results).costs,)
    ]
    words = [cost_word(each.name) for each in results.all_costs]
    split = () if results.settings.tiers is None else ("split",)
    heads = ("accuracy", words[0], "of the backbone", *words[1:], *split, "leave at each exit")
    parts += _table(heads, rows, left=(len(heads) - 1,))
    return "\n".join(parts) + "\n"


def _exits(design: Design, exit_accuracy: tuple[float, ...]) -> list[str]:
    """Return a table of the exits in depth order; an exit's accuracy is over all samples, as if none left before it."""
    names = [(placed.cut_point, placed.branch.label()) for placed in design.branches]
    names += [] if design.static else [(design.exits[-1], design.backbone)]
    alone: list[float | None] = list(exit_accuracy) if len(exit_accuracy) == len(names) else [None] * len(names)
    rows = [
        (str(index), where, structure, percent(accuracy))
        for index, ((where, structure), accuracy) in enumerate(zip(names, alone, strict=True), start=1)
    ]
    return _table(("exit", "where", "structure", "accuracy alone"), rows, left=(1, 2))


def _provenance(design: Design) -> list[str]:
    """Return how the branches were placed, and the repairs that were made."""
    placement = {key: value for key, value in design.provenance.get("placement", {}).items() if _is_plain(value)}
    kind = placement.pop("kind", None)
    values = ", ".join(f"{key} {value}" for key, value in placement.items())
    lines = [as_markdown(f"Placement: {kind}" + (f" ({values})." if values else "."))] if kind is not None else []
    return lines + [f"- {as_markdown(str(repair))}" for repair in design.provenance.get("repairs", ())]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _shares_table(results: StudyResults) -> list[str]:
    rows = [(row.name, *(percent(accuracy) for accuracy in row.accuracies)) for row in shares_rows(results)]
    return _table(("", *(percent(share, 0) for share in SHARES)), rows, left=(0,))


def _front_table(results: StudyResults) -> list[str]:
    """Return tables of points along the front, and of the exits of their networks, each network once."""
    shown = spread(results.choices, NOTE_ROWS)
    pairs = zip(results.choices, choice_rows(results), strict=True)
    rows = [row for item, row in pairs if any(item is one for one in shown)]
    points = [
        (
            f"{row.name}{_marks(row)}",
            percent(row.accuracy),
            row.costs[0].text,
            row.costs[0].share_text(),
            *(text for cost in row.costs[1:] for text in (cost.text, cost.worst_text())),
            *([] if row.split is None else [split_words(row.split)]),
            f"all at {row.ends_at}" if row.ends_at else _leaving(row.leaving),
        )
        for row in rows
    ]
    words = [cost_word(each.name) for each in results.all_costs]
    others = (head for word in words[1:] for head in (word, "worst case"))
    split = () if results.settings.tiers is None else ("split",)
    heads = ("network", "accuracy", words[0], "of the backbone", *others, *split, "leave at each exit")
    found = [(row.name, "; ".join(filter(None, (exits_of(row), how)))) for row, how in networks(rows)]
    return [
        *_table(heads, points, left=(len(heads) - 1,)),
        "",
        *_table(("network", "exits, and the branch at each"), found, left=(1,)),
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> list[str]:
    """Return a Markdown table; the columns in `left` are left-aligned, the others right-aligned."""
    lines = ["|" + "|".join(f" {head}{GAP} " for head in heads) + "|"]
    lines.append("|" + "|".join(":---" if index in left else "---:" for index in range(len(heads))) + "|")
    return lines + ["|" + "|".join(f" {as_markdown(cell)}{GAP} " for cell in row) + "|" for row in rows]


def _trial(worker: WorkerRecord) -> str:
    return "" if worker.trial is None else str(worker.trial)


def _marks(item: FrontPoint | FrontRow) -> str:
    """Return the marks of a point (recommended, knee) in brackets."""
    words = [word for word, holds in (("recommended", item.recommended), ("knee", item.knee)) if holds]
    return f" ({', '.join(words)})" if words else ""


def _leaving(shares: Iterable[float]) -> str:
    return " / ".join(percent(share, 0) for share in shares)
