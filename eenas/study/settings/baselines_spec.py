"""The settings of the networks that rival a search."""

from dataclasses import dataclass
from typing import Literal, get_args

from eenas.errors import SpecError, nearest
from eenas.training.spec import TrainingSpec

Published = Literal["deebert", "pabee", "berxit"]


@dataclass(frozen=True, kw_only=True)
class BaselinesSpec:
    """The static and published networks that rival a search, and the budget of rivals in full training.

    A static network ends at a cut point and uses the best classifier that the bank has there.
    """

    static: int = 3
    """Number of static networks, the most promising ones, that are trained like a trial."""
    published: tuple[Published, ...] = ("deebert", "pabee")
    """Published networks for text that are trained like a trial if the features are tokens with a mask."""
    training: TrainingSpec | None = None
    """Budget with which `eenas train --compare` trains the rivals of a design; by default that of the design."""

    def __post_init__(self) -> None:
        """Raise SpecError for a negative number and unknown or repeated names of published networks."""
        for name in self.published:
            if name not in get_args(Published):
                raise SpecError(f"baselines.published: unknown network; {nearest(str(name), get_args(Published))}")
        if len(set(self.published)) < len(self.published):
            raise SpecError(f"baselines.published names a network twice: {', '.join(self.published)}")
        if self.static < 0:
            raise SpecError(f"baselines.static must not be negative, got {self.static}; 0 trains none")
