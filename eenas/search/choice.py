"""Which design to train fully: the knee, a limit on accuracy or MACs, a trial, or a file."""

from dataclasses import dataclass, replace
from pathlib import Path

from eenas.deployment.model_folder import load_design
from eenas.designs.design import Design, PolicyChoice
from eenas.errors import FrontError, StudyError
from eenas.fronts.choice import choose
from eenas.policies.operating_point import OperatingPoint
from eenas.search.results import StudyResults
from eenas.search.traits import Traits


@dataclass(frozen=True, kw_only=True)
class Choice:
    """At most one of the four; none of them means the knee of the front.

    `max_accuracy_drop` in [0, 1] below the backbone takes the cheapest such point of the front; `max_macs`, a share of
    the backbone's MACs, the most accurate one.
    """

    trial: int | None = None
    design_file: Path | None = None
    max_accuracy_drop: float | None = None
    max_macs: float | None = None

    def __post_init__(self) -> None:
        """Refuse more than one way to choose."""
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            raise FrontError(f"choose in one way only, got {' and '.join(given)}")
        drop, share = self.max_accuracy_drop, self.max_macs
        if drop is not None and not 0 <= drop < 1:
            raise FrontError(f"max_accuracy_drop is in accuracy (0.01 is one point) and in [0, 1), got {drop}")
        if share is not None and not 0 < share < float("inf"):
            raise FrontError(f"max_macs is a share of the backbone's MACs (0.5 is half) and positive, got {share}")


@dataclass(frozen=True)
class Chosen:
    """A design, the trial it comes from, and the operating point that the search saw (None for a file)."""

    design: Design
    trial: int | None
    estimate: OperatingPoint | None


def choose_design(results: StudyResults, choice: Choice, *, trust_code: bool = False) -> Chosen:
    """The design that `choice` means. Raises FrontError or StudyError when there is none, with the nearest there is.

    A design file with branches of the user's own code needs `trust_code`.
    """
    if choice.design_file is not None:
        return Chosen(load_design(choice.design_file, trust_code=trust_code), None, None)
    if choice.trial is not None:
        known = {trial.number: trial for trial in results.trials}
        trial = known.get(choice.trial)
        if trial is None or trial.design is None:
            usable = [number for number, entry in known.items() if entry.design is not None]
            raise StudyError(f"trial {choice.trial} of {results.name!r} has no design; usable trials: {usable}")
        return Chosen(trial.design, trial.number, trial.chosen)
    if not results.front:
        raise FrontError(f"the study {results.name!r} has no front yet; run `eenas search` for more trials")
    if choice.max_accuracy_drop is None and choice.max_macs is None:
        entry = next((entry for entry in results.front if entry.knee), results.front[0])
    else:
        index = choose(
            [entry.point.accuracy for entry in results.front],
            [entry.macs_share for entry in results.front],
            baseline_accuracy=results.backbone.accuracy,
            max_accuracy_drop=choice.max_accuracy_drop,
            max_macs=choice.max_macs,
        )
        entry = results.front[index]
    target = min(1.0, max(0.01, round(entry.macs_share, 4)))
    policy = replace(entry.design.policy, target_macs=target)
    if Traits.of(entry.design, entry.point.policy).policy != policy.kind:  # a point of the default kind, which all have
        policy = PolicyChoice(target_macs=target)
    return Chosen(replace(entry.design, policy=policy), entry.trial, entry.point)
