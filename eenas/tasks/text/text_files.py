"""Tables of texts in files: .csv, .tsv, .jsonl, .parquet, and data sets that Hugging Face's `datasets` saved."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eenas.bounds import check_regular, read_json, shortened_error
from eenas.errors import SpecError, TaskError, plural
from eenas.escaping import one_line, shortened
from eenas.tasks.text.text_columns import TextTable, check_texts, columns_of

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
INFO, STATE = "dataset_info.json", "state.json"
MOST_BYTES = 2_000_000_000
"""The largest number of bytes of a table, in its file and unpacked. A table takes several times as much memory."""
_LONGEST_TEXT = 1 << 24  # characters of a field
_ROWS = 1024  # of packed tables are unpacked at a time


def read_texts(path: Path, text: str | None = None, label: str | None = None) -> TextTable:
    """Return the texts and labels of a file, or of a folder that `Dataset.save_to_disk` wrote.

    `text` and `label` name the columns (None: those with usual names).

    Raises TaskError, with the file and the row, for a file that cannot be read, for missing columns and values, and for
    more than MOST_BYTES bytes.
    """
    shown = one_line(str(path))
    names: tuple[str, ...] = ()
    try:
        if path.is_dir():
            columns, rows, names = _saved(path, text, label)
        elif path.suffix.lower() == ".parquet":
            columns, rows = _parquet(path, text, label)
        else:
            columns, rows = _text_file(path)
    except OSError as error:
        raise TaskError(f"{shown}: cannot be read ({error.strerror or shortened_error(error)}); give a file") from None
    except MemoryError:
        raise TaskError(f"{shown}: does not fit into memory; give fewer rows, or more memory") from None
    except SpecError as error:
        raise TaskError(str(error) if str(error).startswith(shown) else f"{shown}: {error}") from None
    text_column, label_column = columns_of(columns, shown, text, label)
    first = 2 if path.suffix.lower() in (".csv", ".tsv") else 1  # a heading is the first row
    table = TextTable(
        where=shown,
        texts=tuple(row.get(text_column) for row in rows),  # type: ignore[misc]  # check_texts refuses other values
        labels=tuple(row.get(label_column) for row in rows),
        names=names,
        line=first,
    )
    check_texts(table)
    return table


def is_saved(path: Path) -> bool:
    """Whether a folder is a data set that `Dataset.save_to_disk` wrote."""
    return (path / STATE).is_file() and (path / INFO).is_file()


def _text_file(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    check_regular(path)
    _check_size(path.stat().st_size, path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{one_line(str(path))}: must be UTF-8 ({error.reason} at byte {error.start}); convert it"
        ) from None
    if path.suffix.lower() == ".jsonl":
        return _json_lines(text, path)
    heading, *rows = _separated(text, path) or [[]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(heading):
            raise TaskError(
                f"{one_line(str(path))}: row {number} must have {plural(len(heading), 'column')}, as the first row "
                "has, got "
                f"{len(row)}; quote texts that contain the separator"
            )
    if len(set(heading)) < len(heading):
        raise TaskError(f"{one_line(str(path))}: the columns must have different names, got {shortened(heading)}")
    return heading, [dict(zip(heading, row, strict=True)) for row in rows]


def _separated(text: str, path: Path) -> list[list[str]]:
    """Return the rows of separated values. In a .tsv file, quotation marks quote only if the whole file says so."""
    first = text.partition("\n")[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
    if separator == "\t":
        plain = _parsed(text, "\t", csv.QUOTE_NONE)
        if '"' not in text:
            return plain
        try:
            quoted = _parsed(text, "\t", csv.QUOTE_MINIMAL)
        except csv.Error:
            return plain
        return quoted if len({len(row) for row in plain}) > 1 and len({len(row) for row in quoted}) == 1 else plain
    try:
        return _parsed(text, separator, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        raise TaskError(
            f"{one_line(str(path))}: is not a table of comma-separated values ({error}); quote texts with quotation "
            "marks, and double those inside"
        ) from None


def _parsed(text: str, separator: str, quoting: Any) -> list[list[str]]:
    before = csv.field_size_limit(_LONGEST_TEXT)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
        return [row for row in rows if row]
    finally:
        csv.field_size_limit(before)


def _json_lines(text: str, path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TaskError(
                f"{one_line(str(path))}: line {number} is not JSON ({shortened_error(error)}); write an object with "
                "text and label in each line"
            ) from None
        if not isinstance(row, dict):
            raise TaskError(
                f"{one_line(str(path))}: line {number} must be a JSON object with text and label, got {shortened(row)}"
            )
        rows.append(row)
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _check_size(size: int, path: Path) -> None:
    if size > MOST_BYTES:
        raise TaskError(
            f"{one_line(str(path))}: a table of texts may have {MOST_BYTES:,} bytes, also unpacked, got {size:,} or "
            "more; give fewer rows, or shorter texts"
        )


def _parquet(path: Path, text: str | None, label: str | None) -> tuple[list[str], list[dict[str, Any]]]:
    check_regular(path)
    parquet = _arrow(path, "pyarrow.parquet")
    try:
        file = parquet.ParquetFile(path)
        columns: list[str] = list(file.schema_arrow.names)
        needed = columns_of(columns, one_line(str(path)), text, label)
        return columns, _rows(file.iter_batches(batch_size=_ROWS, columns=list(needed)), path)
    except (TaskError, MemoryError):
        raise
    except Exception as error:  # pyarrow raises many types
        raise TaskError(f"{one_line(str(path))}: pyarrow cannot read it ({shortened_error(error)})") from None


def _saved(path: Path, text: str | None, label: str | None) -> tuple[list[str], list[dict[str, Any]], tuple[str, ...]]:
    """Return columns and rows of a saved data set, and the class names of its labels."""
    if not is_saved(path):
        raise TaskError(f"{one_line(str(path))}: is no data set that Dataset.save_to_disk wrote: it has no {STATE}")
    state, info = read_json(path / STATE), read_json(path / INFO)
    try:
        files = [path / Path(str(each["filename"])).name for each in state["_data_files"]]
        features = dict(info["features"])
    except (KeyError, TypeError, ValueError):
        raise TaskError(f"{one_line(str(path))}: {STATE} or {INFO} is damaged; save the data set again") from None
    if state.get("_indices_data_files") or state.get("_format_columns"):
        raise TaskError(f"{one_line(str(path))}: holds a selection of rows; save dataset.flatten_indices()")
    arrow, columns, rows, label_column = _arrow(path, "pyarrow"), list[str](), list[dict[str, Any]](), ""
    for file in files:
        try:
            check_regular(file)
            _check_size(sum(each.stat().st_size for each in files), path)
            with file.open("rb") as stream:
                reader = arrow.ipc.open_stream(stream)
                columns = list(reader.schema.names)
                needed = columns_of(columns, one_line(str(path)), text, label)
                label_column = needed[1]
                rows += _rows((batch.select(list(needed)) for batch in reader), path)
        except (OSError, TaskError, MemoryError):
            raise
        except Exception as error:  # pyarrow raises many types
            raise TaskError(f"{one_line(str(file))}: pyarrow cannot read it ({shortened_error(error)})") from None
    stated = features.get(label_column)
    names = stated.get("names") if isinstance(stated, dict) else None
    return columns, rows, tuple(map(str, names)) if isinstance(names, list) else ()


def _rows(batches: Iterable[Any], path: Path) -> list[dict[str, Any]]:
    """Return the rows of record batches, which are unpacked one at a time."""
    rows: list[dict[str, Any]] = []
    size = 0
    for batch in batches:
        size += batch.nbytes
        _check_size(size, path)
        rows += batch.to_pylist()
    return rows


def _arrow(path: Path, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise TaskError(
            f"{one_line(str(path))}: is read by pyarrow, which is not installed; pip install pyarrow"
        ) from None
