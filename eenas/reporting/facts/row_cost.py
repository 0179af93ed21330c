"""One cost of an operating point as a row shows it: the figure, the share of the backbone's, and the worst case."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.costs import MACS, CostFacts, key_of
from eenas.reporting.facts.wording import cost_text, cost_word, times


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """A cost of a sample in `unit`, expected and worst, and as shares of the plain backbone's; None: not measured."""

    name: str
    unit: str
    expected: float | None
    share: float | None
    worst: float | None
    worst_share: float | None

    @property
    def word(self) -> str:
        """The cost in the head of a column."""
        return cost_word(self.name)

    @property
    def text(self) -> str:
        """What is expected, with its unit."""
        return cost_text(self.name, self.expected, self.unit)

    def share_text(self, digits: int = 1) -> str:
        """What is expected as a share of the backbone's: of the MACs in per cent, of others as a ratio."""
        return percent(self.share, digits) if self.name == MACS else times(self.share)

    def worst_text(self, digits: int = 1) -> str:
        """The worst case: of the MACs in per cent of the backbone's, of others with its unit."""
        if self.name == MACS:
            return percent(self.worst_share, digits)
        return cost_text(self.name, self.worst, self.unit)

    def flat(self) -> dict[str, float | None]:
        """The figures under the names that they have in CSV and JSON, such as "macs" and "worst_latency_ms"."""
        key = key_of(self.name)
        figures = {key: self.expected, f"{self.name}_share": self.share}
        return {**figures, f"worst_{key}": self.worst, f"worst_{self.name}_share": self.worst_share}


def row_costs(
    facts: Iterable[CostFacts], expected: Mapping[str, float], worst: Mapping[str, float], backbone: BackboneFacts
) -> tuple[RowCost, ...]:
    """The costs that `facts` name of a point with these."""
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
