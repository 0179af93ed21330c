"""The settings of a fleet as texts of the command line: numbers of devices, arrivals, factors of batches, targets."""

from pathlib import Path

from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.bandwidth_trace import csv_columns
from eenas.deployment.fleet.fleet_runs import ReliabilityTarget
from eenas.errors import SimulationError
from eenas.escaping import shortened

LONGEST = 1_000
"""The largest number of characters of a text."""


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Return the numbers in "100,1000". Raises SimulationError, which starts with `name`, for any other text."""
    try:
        return tuple(int(piece) for piece in _pieces(name, text))
    except ValueError:
        raise SimulationError(f"{name} must be whole numbers such as 100,1000, got {shortened(text)}") from None


def factors_from_text(text: str) -> tuple[tuple[float, float], ...]:
    """Return the factors of batches in "1:1,8:3.2". Raises SimulationError for any other text."""
    found = []
    for piece in _pieces("the cost of batches", text):
        size, _, factor = piece.partition(":")
        try:
            found.append((float(size), float(factor)))
        except ValueError:
            raise SimulationError(
                f"the cost of batches must be sizes and factors such as 1:1,8:3.2, got {shortened(piece)}"
            ) from None
    return tuple(found)


def arrivals_from_text(text: str, rate: float) -> Arrivals:
    """Return the arrivals of a kind, or those at the moments in the column `seconds` of a .csv file."""
    if not text.lower().endswith(".csv"):
        return Arrivals(kind=text, rate=rate)
    rows = csv_columns(Path(text), ("seconds",))
    try:
        return Arrivals(kind="trace", moments=tuple(row[0] for row in rows))
    except SimulationError as error:
        raise SimulationError(f"{text}: {error}") from None


def target_of(accuracy: float | None, latency_ms: float | None) -> ReliabilityTarget | None:
    """Return the target of batches, or None without one. Raises SimulationError if only one number is given."""
    if accuracy is None and latency_ms is None:
        return None
    if accuracy is None or latency_ms is None:
        raise SimulationError("outage and missed deadlines need an accuracy and a latency; give both targets")
    return ReliabilityTarget(accuracy=accuracy, latency_ms=latency_ms)


def _pieces(name: str, text: str) -> list[str]:
    if len(text) > LONGEST:
        raise SimulationError(f"{name}: at most {LONGEST:,} characters are read, got {len(text):,}")
    return [piece.strip() for piece in text.split(",")]
