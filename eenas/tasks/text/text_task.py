"""A task of texts: one file, a folder with a file for each source, or a saved data set of Hugging Face."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.escaping import one_line
from eenas.tasks.spec import SourceName, SplitsSpec
from eenas.tasks.task import Source, Task, assemble
from eenas.tasks.text.text_columns import TextTable, class_numbers
from eenas.tasks.text.text_files import ENDINGS, is_saved, read_texts
from eenas.tasks.text.text_values import TextValues

SOURCES: Mapping[SourceName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""The names of the files or folders of each source."""


def text_task(
    path: Path, splits: SplitsSpec | None = None, *, text: str | None = None, label: str | None = None
) -> Task:
    """Return the task in a table of texts and labels, or in a folder with `train` and perhaps `validation` and `test`.

    A table is a .csv, .tsv, .jsonl or .parquet file, or a folder that `Dataset.save_to_disk` wrote. The files `test`
    and `validation` beside a file `train` are read too, if they have the same ending. `text` and `label` name the
    columns (None: those with usual names).

    Raises TaskError, with the file, if one is missing or broken, lacks a column, a text or a label, and if the splits
    do not fit.
    """
    files = _files(path)
    tables = {source: read_texts(file, text, label) for source, file in files.items()}
    notices = []
    if "test" in tables and tables["test"].names and all(each == -1 for each in tables["test"].labels):
        notices.append(f"{tables['test'].where} is left out: it has no labels (-1)")
        del tables["test"], files["test"]
    classes, numbers = class_numbers(tables)
    shown = one_line(str(path))
    name = one_line((path if path.is_dir() else path.with_suffix("")).resolve().name) or "texts"
    if name in SOURCES["train"]:
        name = one_line(path.resolve().parent.name) or "texts"
    try:
        task = task_of_texts(name, {each: (tables[each].texts, numbers[each]) for each in tables}, classes, splits)
    except TaskError as error:
        raise TaskError(f"{shown}: {error}") from None
    notices += [said for table in tables.values() if (said := _empty(table)) is not None]
    return replace(task, notices=(*notices, *task.notices))


def task_of_texts(
    name: str,
    sources: Mapping[SourceName, tuple[Sequence[str], NDArray[np.int64]]],
    classes: tuple[str, ...],
    splits: SplitsSpec | None = None,
) -> Task:
    """Return the task of texts and class numbers [n] of each source.

    Raises TaskError if the splits do not fit.
    """
    taken: dict[SourceName, Source] = {
        source: (TextValues(texts, f"{source}_x"), np.asarray(labels, dtype=np.int64))
        for source, (texts, labels) in sources.items()
    }
    return assemble(name, classes, taken, splits or SplitsSpec(), flip=None)


def _files(path: Path) -> dict[SourceName, Path]:
    """Return the table of each source. Raises TaskError if there is none for train."""
    shown = one_line(str(path))
    if not os.path.exists(path):
        raise TaskError(f"{shown}: no such file; text:PATH takes a {', '.join(ENDINGS)} file or a folder of them")
    if not path.is_dir():
        if path.suffix.lower() not in ENDINGS:
            raise TaskError(f"{shown}: must end in {', '.join(ENDINGS)}, got {path.suffix or 'no ending'!r}; rename it")
        if path.stem.lower() not in SOURCES["train"]:
            return {"train": path}
        beside: dict[SourceName, Path] = _sources(path.parent, (path.suffix.lower(),))
        return {**{source: file for source, file in beside.items() if source != "train"}, "train": path}
    if is_saved(path):
        return {"train": path}
    found = _sources(path, ENDINGS)
    if "train" not in found:
        raise TaskError(
            f"{shown}: needs a file train.csv, .tsv, .jsonl or .parquet, or a folder train that Dataset.save_to_disk "
            "wrote; give the path of one file"
        )
    return found


def _sources(folder: Path, endings: tuple[str, ...]) -> dict[SourceName, Path]:
    """Return the table of each source in a folder. Raises TaskError if there are two for one."""
    found: dict[SourceName, Path] = {}
    for item in sorted(folder.iterdir()):
        source = next((source for source, names in SOURCES.items() if item.stem.lower() in names), None)
        fits = is_saved(item) if item.is_dir() else item.suffix.lower() in endings
        if source is None or not fits:
            continue
        if source in found:
            raise TaskError(
                f"{one_line(str(folder))}: has two tables of {source}, {one_line(found[source].name)} and "
                f"{one_line(item.name)}; keep one"
            )
        found[source] = item
    return found


def _empty(table: TextTable) -> str | None:
    """Return a notice on texts without a character, or None."""
    count = sum(not text.strip() for text in table.texts)
    return None if not count else f"{table.where} has {count:,} empty text{'s' if count > 1 else ''}"
