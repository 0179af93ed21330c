"""The columns of a table of texts: which hold the texts and the labels, and the classes of the labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest, plural
from eenas.escaping import shortened
from eenas.tasks.spec import SourceName

TEXT_COLUMNS = (
    "text",
    "sentence",
    "question",
    "content",
    "review",
    "document",
    "message",
    "body",
    "utterance",
    "query",
)
"""The usual names of the column of texts, the first one found is taken."""
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "intent", "topic", "sentiment")
"""The usual names of the column of labels."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """The texts and labels of one file, row by row.

    `names` are the class names of numbered labels, if the file has any. `where` names the file in messages, and `line`
    is the number of its first row there.
    """

    where: str
    texts: tuple[str, ...]
    labels: tuple[Any, ...]
    names: tuple[str, ...] = ()
    line: int = 1


def columns_of(
    columns: Sequence[str], where: str, text: str | None = None, label: str | None = None
) -> tuple[str, str]:
    """Return the names of the columns of texts and labels among `columns`. Those given are taken.

    Raises TaskError for a column that is not there, and if none has a usual name.
    """
    shown = ", ".join(shortened(name) for name in columns[:10]) or "none"
    for key, given in (("text_column", text), ("label_column", label)):
        if given is not None and given not in columns:
            raise TaskError(
                f"{where}: task.{key} is {shortened(given)}, but the columns are {shown}; {nearest(given, columns)}"
            )
    lower = {name.strip().lower(): name for name in reversed(columns)}
    found_label = label or next((lower[name] for name in LABEL_COLUMNS if name in lower and lower[name] != text), None)
    found_text = text or next((lower[name] for name in TEXT_COLUMNS if name in lower and lower[name] != label), None)
    if len(columns) == 2:  # the other one
        if found_text is None and found_label is not None:
            found_text = next(name for name in columns if name != found_label)
        elif found_label is None and found_text is not None:
            found_label = next(name for name in columns if name != found_text)
    for key, found, usual in (("text", found_text, TEXT_COLUMNS), ("label", found_label, LABEL_COLUMNS)):
        if found is None:
            raise TaskError(
                f"{where}: has no column named {', '.join(usual[:3])} or the like, got {shown}; set "
                f"task.{key}_column (the first row of a .csv or .tsv names the columns)"
            )
    assert found_text is not None
    assert found_label is not None
    if found_text == found_label:
        raise TaskError(f"{where}: texts and labels must be different columns, got {shortened(found_text)} for both")
    return found_text, found_label


def check_texts(table: TextTable) -> None:
    """Raise TaskError, with the row, for a text that is missing or not text, and for a file without rows."""
    if not table.texts:
        raise TaskError(f"{table.where}: has no rows; give at least a few texts of each class")
    for row, text in enumerate(table.texts):
        if not isinstance(text, str):
            fix = "save the column as text, not as bytes" if isinstance(text, bytes) else "fill it or remove it"
            raise TaskError(f"{table.where}: row {table.line + row} must hold a text, got {shortened(text)}; {fix}")


def class_numbers(
    tables: Mapping[SourceName, TextTable],
) -> tuple[tuple[str, ...], dict[SourceName, NDArray[np.int64]]]:
    """Return the class names of all sources and the class numbers [n] of each, from labels as text or numbers.

    Numbers are sorted as numbers, other labels as text. Class names that a file states keep their order.

    Raises TaskError for a missing label, a fraction, and a class that the train source lacks.
    """
    labels = {source: _labels(table) for source, table in tables.items()}
    train = tables["train"]
    if train.names:
        classes = train.names
    else:
        known = set(labels["train"])
        are_numbers = all(_is_number(name) for name in known)
        classes = tuple(sorted(known, key=_number)) if are_numbers else tuple(sorted(known))
    numbers = {name: number for number, name in enumerate(classes)}
    for source, found in labels.items():
        for row, name in enumerate(found):
            if name not in numbers:
                raise TaskError(
                    f"{tables[source].where}: row {tables[source].line + row} has the class {shortened(name)}, but "
                    "train has no text of it; add some or remove the class"
                )
    return classes, {source: np.array([numbers[name] for name in found]) for source, found in labels.items()}


def _labels(table: TextTable) -> list[str]:
    """Return the labels of a table as class names."""
    return [_label(value, table, table.line + row) for row, value in enumerate(table.labels)]


def _label(value: Any, table: TextTable, row: int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, int):
        if table.names:
            if not 0 <= value < len(table.names):
                unlabelled = " (no label)" if value == -1 else ""
                raise TaskError(
                    f"{table.where}: row {row} has the label {value}{unlabelled}, but the labels of "
                    f"{plural(len(table.names), 'class', 'classes')} end at {len(table.names) - 1}; remove such rows"
                )
            return table.names[value]
        return str(value)
    if isinstance(value, str) and value.strip():
        return value.strip().encode("utf-8", "replace").decode()  # JSON can hold halves of a surrogate pair
    if isinstance(value, float) and math.isfinite(value):
        raise TaskError(f"{table.where}: row {row} has the label {value:g}; classes are texts or whole numbers")
    raise TaskError(f"{table.where}: row {row} has no label, got {shortened(value)}; fill it or remove the row")


def _number(name: str) -> tuple[int, str]:
    """Return the order of a number as text; "7" and "07" are different classes."""
    return int(name), name


def _is_number(name: str) -> bool:
    return name.removeprefix("-").isascii() and name.removeprefix("-").isdigit() and len(name) < 19
