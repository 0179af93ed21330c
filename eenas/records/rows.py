"""Reading and checking rows of the database.

A damaged row raises an error that names it.
"""

from typing import Any, TypeVar

from eenas import bounds
from eenas.errors import SpecError, StorageError
from eenas.specs import read_fields

T = TypeVar("T")
FIX = "restore the database from a copy, or delete the row"


def read_body(text: Any, row: str) -> Any:
    """Parse the JSON of one column to plain values. `row` names the row in errors. Raises StorageError."""
    try:
        return bounds.parse_json(text, most=bounds.MOST_ROW, finite=False)
    except SpecError as error:
        raise damaged(row, error) from None


def read_table(text: Any, row: str) -> dict[str, Any]:
    """Parse the JSON of one column that holds a table. `row` names the row in errors. Raises StorageError."""
    table = read_body(text, row)
    try:
        bounds.check_keys(table, table)
    except SpecError as error:
        raise damaged(row, error) from None
    return dict(table)


def read_record(cls: type[T], table: Any, row: str) -> T:
    """Convert a table to a record with the types of its fields. Raises StorageError."""
    try:
        return read_fields(cls, table)
    except SpecError as error:
        raise damaged(row, error) from None


def damaged(row: str, reason: object) -> StorageError:
    """Return the error for a damaged row."""
    return StorageError(f"the database's {row} is damaged ({reason}); {FIX}")
