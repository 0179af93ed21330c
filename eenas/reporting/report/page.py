"""The panels of a page: a file of `dashboards/`, in which unknown keys and figures are errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import plotly.graph_objects as go

from eenas import shipped, specs
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.policies.costs import KNOWN, LATENCY, MACS
from eenas.reporting.figures.front_figure import draw_front, front_facts
from eenas.reporting.figures.leaving_figure import draw_leaving, leaving_facts
from eenas.results.results import StudyResults

FigureName = Literal["front_macs", "front_latency", "leaving"]

FIGURES: dict[FigureName, Callable[[StudyResults], go.Figure]] = {
    "front_macs": lambda results: draw_front(front_facts(results, MACS)),
    "front_latency": lambda results: draw_front(front_facts(results, LATENCY)),
    "leaving": lambda results: draw_leaving(leaving_facts(results)),
}


FRONT = "front_"
"""The prefix of figures that draw the front over a cost."""


def with_own_fronts(names: Sequence[str], results: StudyResults) -> tuple[str, ...]:
    """Return the figures of a page, with fronts over the study's own costs after the last front that it names."""
    fronts = [index for index, name in enumerate(names) if name.startswith(FRONT)]
    own = [FRONT + each.name for each in results.costs if each.name not in KNOWN]
    return (*names[: fronts[-1] + 1], *own, *names[fronts[-1] + 1 :]) if fronts else tuple(names)


@dataclass(frozen=True, kw_only=True)
class PageSpec:
    """A page: its figures, whether it has a note, and the number of trials with a note of their own."""

    figures: tuple[FigureName, ...]
    """The figures, each once."""
    note: bool = True
    """Whether the study has a note with the summary, the baselines and points along the front."""
    trial_notes: int = 12
    """Largest number of trials on the front with a note on their branches and operating points."""

    def __post_init__(self) -> None:
        """Raise SpecError for repeated figures and a negative number of notes."""
        if len(set(self.figures)) != len(self.figures):
            raise SpecError(f"figures must name each figure once, got {shortened(list(self.figures))}")
        if self.trial_notes < 0:
            raise SpecError(f"trial_notes must not be negative, got {self.trial_notes}")


def load_page(name: str | Path = "live") -> PageSpec:
    """Load a shipped page by name or a file by path. Raises SpecError for unknown keys and figures."""
    path = shipped.find("dashboards", str(name))
    return specs.from_table(PageSpec, specs.read_table(path), file=str(path))
