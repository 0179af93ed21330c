"""Rows of the database read back: whoever edits them by hand gets one line that names the row, never half a record."""

from collections.abc import Mapping
from typing import Any, TypeVar

from eenas import bounds
from eenas.errors import SpecError, StorageError
from eenas.escaping import shortened
from eenas.specs import read_fields

T = TypeVar("T")
FIX = "restore the database from a copy, or delete the row"


def read_body(text: Any, row: str) -> Any:
    """The JSON of one column as plain values; `row` says whose. Raises StorageError."""
    try:
        return bounds.parse_json(text, most=bounds.MOST_ROW, finite=False)
    except SpecError as error:
        raise damaged(row, error) from None


def read_record(cls: type[T], table: Any, row: str) -> T:
    """A record from its table, every value of the type that its field has. Raises StorageError."""
    if not isinstance(table, Mapping):
        raise damaged(row, f"must be a table, got {shortened(table)}")
    try:
        return read_fields(cls, table)
    except SpecError as error:
        raise damaged(row, error) from None


def damaged(row: str, reason: object) -> StorageError:
    """The error about a row that does not hold what eenas writes."""
    return StorageError(f"the database's {row} is damaged ({reason}); {FIX}")
