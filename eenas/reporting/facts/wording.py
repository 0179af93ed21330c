"""How numbers read in tables, notes and figures: percent, MACs with a prefix, milliseconds."""


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] (or above) as text: 0.524 is "52.4 %"; None is a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def quantity(value: float | None, unit: str = "") -> str:
    """A count with three significant digits and a prefix: 41_200_000 is "41.2 M"; None is a dash."""
    if value is None:
        return "–"
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{_three(value / size)} {prefix} {unit}".rstrip()
    return f"{value:.0f} {unit}".rstrip()


def milliseconds(value: float | None) -> str:
    """Milliseconds with three significant digits: "12.3 ms"; None is a dash."""
    return "–" if value is None else f"{_three(value)} ms"


def times(ratio: float | None) -> str:
    """A ratio to the backbone's latency: "0.58 ×"; None is a dash."""
    return "–" if ratio is None else f"{ratio:.2f} ×"


def each_batch(samples: int) -> str:
    """What a latency is for: "a sample", or "a batch of 8"."""
    return "a sample" if samples == 1 else f"a batch of {samples}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A number and its noun: "1 trial", "3 trials", "2 branches" (with `nouns` given)."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def _three(value: float) -> str:
    """Three significant digits without an exponent."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    if abs(value) < 0.9995:
        digits = 3
    return f"{value:.{digits}f}"
