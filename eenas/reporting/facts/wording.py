"""Numbers as text in tables, notes and figures: MACs with a prefix, milliseconds, other costs."""

from collections.abc import Sequence

from eenas.policies.contexts.robustness import DISTORTED, WORST_DISTORTED
from eenas.policies.costs import LATENCY, MACS

ROBUSTNESS_WORDS = {DISTORTED: "distorted", WORST_DISTORTED: "worst kind"}
"""The heads of columns of accuracies under distortions."""


def enumerated(words: Sequence[str]) -> str:
    """Return words as "a", "a and b", or "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def quantity(value: float | None, unit: str = "") -> str:
    """Return a count with three significant digits and a prefix: 41_200_000 is "41.2 M"; None is a dash."""
    if value is None:
        return "–"
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{_three(value / size)} {prefix} {unit}".rstrip()
    return f"{value:.0f} {unit}".rstrip()


def milliseconds(value: float | None) -> str:
    """Return milliseconds with three significant digits: "12.3 ms"; None is a dash."""
    return "–" if value is None else f"{_three(value)} ms"


def cost_text(name: str, value: float | None, unit: str) -> str:
    """Return a cost with three significant digits and its unit: "41.2 M" (MACs), "0.52 mJ"; None is a dash."""
    if value is None:
        return "–"
    if name == MACS:
        return quantity(value)
    if name == LATENCY:
        return milliseconds(value)
    if value == 0:
        return f"0 {unit}".rstrip()
    if abs(value) >= 9_999.5:
        return quantity(value, unit)
    return f"{value:.3g} {unit}".rstrip() if 0 < abs(value) < 0.0995 else f"{_three(value)} {unit}".rstrip()


def cost_word(name: str) -> str:
    """Return the name of a cost for the head of a column: "MACs", "latency", "bytes sent"."""
    return "MACs" if name == MACS else name.replace("_", " ")


def duration(hours: float) -> str:
    """Return hours as text, or minutes below one hour: "2.5 h", "12 min"."""
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min" if hours >= 1 / 6 else f"{60 * hours:.1f} min"


def times(ratio: float | None) -> str:
    """Return a ratio to the backbone's cost: "0.58 ×"; None is a dash."""
    return "–" if ratio is None else f"{ratio:.2f} ×"


def place(cut_point: str) -> str:
    """Return a cut point's name for readers: "layer1.0" unchanged, "3" in an nn.Sequential as "module 3"."""
    return f"module {cut_point}" if cut_point.replace(".", "").isdigit() else cut_point


def each_batch(samples: int) -> str:
    """Return the batch of a latency as text: "a sample", or "a batch of 8"."""
    return "a sample" if samples == 1 else f"a batch of {samples}"


def _three(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    if abs(value) < 0.9995:
        digits = 3
    return f"{value:.{digits}f}"
