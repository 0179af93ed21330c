"""The settings of the networks that rival a search."""

from dataclasses import dataclass
from typing import Literal, get_args

from eenas.errors import SpecError, nearest
from eenas.training.spec import TrainingSpec

Published = Literal["deebert", "pabee", "berxit"]


@dataclass(frozen=True, kw_only=True)
class BaselinesSpec:
    """The static and published networks that rival a search, and the budget of rivals in full training.

    A static network ends at a cut point and uses the best classifier that the bank has there. The `static` most
    promising ones are trained like a trial. So are the `published` networks for text (`deebert`, `pabee`, `berxit`), if
    the features are tokens with a mask. `eenas train --compare` trains the rivals of a design with the budget
    `training` (default: that of the design).
    """

    static: int = 3
    published: tuple[Published, ...] = ("deebert", "pabee")
    training: TrainingSpec | None = None

    def __post_init__(self) -> None:
        """Raise SpecError for a negative number and unknown or repeated names of published networks."""
        for name in self.published:
            if name not in get_args(Published):
                raise SpecError(f"baselines.published: unknown network; {nearest(str(name), get_args(Published))}")
        if len(set(self.published)) < len(self.published):
            raise SpecError(f"baselines.published names a network twice: {', '.join(self.published)}")
        if self.static < 0:
            raise SpecError(f"baselines.static must not be negative, got {self.static}; 0 trains none")
