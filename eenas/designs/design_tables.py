"""The parts of a design's table: its inputs, as they are and as version 0.1 wrote them, and its branches."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eenas.bounds import check_keys, located
from eenas.branches.branch import Branch
from eenas.branches.registry import branch_from_table
from eenas.errors import DesignError, EenasError
from eenas.escaping import shortened
from eenas.tasks.images.frame import canonical_size
from eenas.tasks.images.image_input import image_input
from eenas.tasks.inputs import InputSpec

SIZE = "input_size"
"""The key of the size of images in designs of version 0.1."""


def with_inputs(values: dict[str, Any], file: str, prefix: str) -> dict[str, Any]:
    """The values of a table with its inputs read, which version 0.1 has as the size of images."""
    if "inputs" in values:
        return {**values, "inputs": InputSpec.from_table(values["inputs"], file=file, key=f"{prefix}inputs")}
    if SIZE not in values:
        return values
    size = values.pop(SIZE)
    try:
        return {**values, "inputs": image_input(canonical_size(size))}
    except (ValueError, TypeError, EenasError):
        raise DesignError(
            f"{where(file, prefix + SIZE)}must be a whole number of at least 1 or [height, width], "
            f"got {shortened(size)}"
        ) from None


def read_placed(item: Any, file: str, key: str, trust_code: bool, relative_to: Path | None) -> tuple[str, Branch]:
    """The cut point and the branch of an item of `branches`. Raises DesignError, or what the branch raises."""
    check_keys(item, ("cut_point", "branch"), file=file, key=key, error=DesignError)
    for name, kind in (("cut_point", str), ("branch", Mapping)):
        if not isinstance(item.get(name), kind):
            text = "text" if kind is str else "a table"
            raise DesignError(f"{where(file, f'{key}.{name}')}must be {text}, got {shortened(item.get(name))}")
    folder = relative_to or (Path(file).parent if file else None)
    branch = branch_from_table(
        item["branch"], file=file, key=f"{key}.branch", trust_code=trust_code, relative_to=folder
    )
    return item["cut_point"], branch


def where(file: str, key: str) -> str:
    """The file and key that a message begins with."""
    return f"{origin}: " if (origin := located(file, key)) else ""
