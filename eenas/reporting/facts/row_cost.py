"""One cost of an operating point for a row: expected value, share of the backbone's, and worst case."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.costs import MACS, CostFacts, key_of
from eenas.reporting.facts.wording import cost_text, cost_word, times


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """A cost per sample in `unit`, expected and worst, also as shares of the plain backbone's; None: not measured."""

    name: str
    unit: str
    expected: float | None
    share: float | None
    worst: float | None
    worst_share: float | None

    @property
    def word(self) -> str:
        """The cost's name as the head of a column."""
        return cost_word(self.name)

    @property
    def text(self) -> str:
        """The expected cost with its unit."""
        return cost_text(self.name, self.expected, self.unit)

    def share_text(self, digits: int = 1) -> str:
        """Return the expected cost relative to the backbone's: MACs in percent, other costs as a ratio."""
        return percent(self.share, digits) if self.name == MACS else times(self.share)

    def worst_text(self, digits: int = 1) -> str:
        """Return the worst case: MACs in percent of the backbone's, other costs with their unit."""
        if self.name == MACS:
            return percent(self.worst_share, digits)
        return cost_text(self.name, self.worst, self.unit)

    def flat(self) -> dict[str, float | None]:
        """Return the figures under their names in CSV and JSON, such as "macs" and "worst_latency_ms"."""
        key = key_of(self.name)
        figures = {key: self.expected, f"{self.name}_share": self.share}
        return {**figures, f"worst_{key}": self.worst, f"worst_{self.name}_share": self.worst_share}


def row_costs(
    facts: Iterable[CostFacts], expected: Mapping[str, float], worst: Mapping[str, float], backbone: BackboneFacts
) -> tuple[RowCost, ...]:
    """Return the costs that `facts` describe, for a point with these expected and worst values."""
    return tuple(
        RowCost(
            name=each.name,
            unit=each.unit,
            expected=expected.get(each.name),
            share=backbone.share(each.name, expected.get(each.name)),
            worst=worst.get(each.name),
            worst_share=backbone.share(each.name, worst.get(each.name)),
        )
        for each in facts
    )
