"""An exit table read from the file that it was saved to."""

from pathlib import Path

from eenas.archives import read_arrays
from eenas.errors import PolicyError, SpecError
from eenas.policies.exit_table import KEYS, ExitTable


def load_exit_table(path: str | Path) -> ExitTable:
    """Read what `ExitTable.save` wrote, never running code from it. Raises PolicyError when it is not an exit table."""
    try:
        arrays = read_arrays(Path(path), KEYS, ("latency_ms", "balanced"))
    except SpecError as error:
        raise PolicyError(f"not an exit table: {error}") from None
    try:
        return ExitTable(
            logits=arrays["logits"],
            labels=arrays["labels"],
            exits=tuple(str(name) for name in arrays["exits"].reshape(-1)),
            macs=arrays["macs"],
            latency_ms=arrays.get("latency_ms"),
            balanced=bool(arrays.get("balanced", False)),
        )
    except (PolicyError, ValueError, TypeError) as error:
        raise PolicyError(f"{path}: {error}") from None
