"""The guarantee of a policy: a bound on its loss against the final exit, and how it was obtained."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from eenas.bounds import check_keys
from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.percent import percent

LOSSES = {
    "gap": "is wrong where the final exit is right",
    "consistency": "differs from that of the final exit",
}
"""The losses of an answer, 0 or 1, by name, with the event that each counts."""

METHODS = {
    "binomial": "fixed-sequence testing with exact binomial tests",
    "hoeffding_bentkus": "fixed-sequence testing with Hoeffding-Bentkus bounds",
    "betting": "fixed-sequence testing with betting bounds",
    "conformal": "conformal risk control",
}
"""The methods by name, with their descriptions."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """A bound on the mean loss of a policy on new data that are distributed like its calibration data.

    The mean of `loss` (one of LOSSES, in [0, 1]) is at most `max_risk` with probability `confidence` over calibration
    samples. With the method "conformal", `confidence` is None: the bound is on the expectation over calibration samples
    and the new sample. `samples` is the number of samples of the test, on which nothing was fitted. `certified` is
    False if no early exit passed the test: the policy then lets no sample leave early, and its loss is zero. `balanced`
    says that the accuracies beside it are means over classes, which the guarantee does not cover. Raises PolicyError
    for values out of range.
    """

    max_risk: float
    confidence: float | None
    loss: str
    method: str
    samples: int
    certified: bool = True
    balanced: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        check_level("max_risk", self.max_risk)
        for name, value, known in (("loss", self.loss, LOSSES), ("method", self.method, METHODS)):
            if not isinstance(value, str) or value not in known:
                raise PolicyError(f"{name}: unknown value {shortened(value)}; {nearest(str(value), known)}")
        if (self.confidence is None) != (self.method == "conformal"):
            raise PolicyError(f"a guarantee by {self.method} cannot have the confidence {shortened(self.confidence)}")
        if self.confidence is not None:
            check_level("confidence", self.confidence)
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1:
            raise PolicyError(f"the samples of a guarantee must be a positive number, got {shortened(self.samples)}")
        if not all(isinstance(value, bool) for value in (self.certified, self.balanced)):
            raise PolicyError("certified and balanced must be true or false")

    def sentence(self) -> str:
        """Return the guarantee in one sentence, or that no early exit could be certified."""
        sure = "In expectation" if self.confidence is None else f"With {percent(self.confidence, 0)} probability"
        event, bound = LOSSES[self.loss], percent(self.max_risk, 2)
        how = f"({METHODS[self.method]}, {self.samples:,} samples)"
        if not self.certified:
            return (
                f"No early exit could be certified: that its answer {event} on at most {bound} of the samples {how}. "
                "No sample leaves early."
            )
        classes = " It counts samples alike; the balanced accuracy is not covered." if self.balanced else ""
        return f"{sure}, the answer {event} on at most {bound} of data like the calibration data {how}.{classes}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the guarantee that `to_table` wrote.

        Raises SpecError for unknown and missing keys and PolicyError for invalid values.
        """
        names = [field.name for field in fields(cls)]
        check_keys(table, names, names, file=file, key=key, kind="a guarantee")
        return cls(**table)


def check_level(name: str, value: object) -> None:
    """Raise PolicyError unless `value` is a number strictly between 0 and 1, and large enough to divide by."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-300 < value < 1:
        advice = "; 0.95 is 95 %" if name == "confidence" else "; 0.01 is one point"
        raise PolicyError(f"{name} must be a number between 0 and 1, both excluded, got {shortened(value)}{advice}")
