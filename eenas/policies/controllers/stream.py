"""A stream of samples for a simulation: how many, in which order, and how the circumstances switch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.policies.controllers.recording import Recording
from eenas.policies.values import check_truth, check_whole

FACTORS = {"clean": 1.0, "halved": 0.5}
"""The named factors of confidences."""
MOST_ROUNDS = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Stream:
    """`rounds` samples of a recording in `phases` of equal length, such as ("clean", "halved", "clean").

    A phase is the name of a context of the recording (only its samples), "clean" (all samples), "halved" (every
    confidence times 0.5) or a number in [0, 1] as text (times this number). Samples are drawn at random with
    replacement, or with `in_order` taken as they were recorded, from the start again after the last one. With
    `contexts`, the controller is told the context of each sample: that of the recording or, if it has none, the name
    of the phase. Raises PolicyError for other values.
    """

    rounds: int = 20_000
    phases: tuple[str, ...] = ("clean",)
    in_order: bool = False
    contexts: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole("rounds", self.rounds, 1, MOST_ROUNDS)
        check_truth("in_order", self.in_order)
        check_truth("contexts", self.contexts)
        phases = tuple(each.strip() for each in self.phases)
        if not 1 <= len(phases) <= min(100, self.rounds):
            raise PolicyError(f"a stream needs 1 to 100 phases, and a round for each, got {len(phases)}")
        object.__setattr__(self, "phases", phases)

    @classmethod
    def read(cls, text: str, **more: object) -> "Stream":
        """Return the stream whose phases are separated by commas in a text."""
        return cls(phases=tuple(text.split(",")), **more)  # type: ignore[arg-type]

    def lengths(self) -> list[int]:
        """Return the number of rounds in each phase; the first ones get what does not divide."""
        whole, rest = divmod(self.rounds, len(self.phases))
        return [whole + (number < rest) for number in range(len(self.phases))]

    def parts(self, recording: Recording) -> list[Recording]:
        """Return the samples of each phase, made once for equal phases. Raises PolicyError for an unknown phase."""
        found = {phase: _part(recording, phase) for phase in dict.fromkeys(self.phases)}
        return [found[phase] for phase in self.phases]

    def order(self, part: Recording, rounds: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return the numbers of the samples of one phase, [rounds]."""
        if self.in_order:
            return np.arange(rounds) % len(part)
        return generator.integers(len(part), size=rounds)

    def names(self, part: Recording, phase: str) -> list[str | None]:
        """Return the context of each sample of a phase for the controller."""
        if not self.contexts:
            return [None] * len(part)
        return [phase] * len(part) if part.contexts is None else part.contexts.tolist()


def _part(recording: Recording, phase: str) -> Recording:
    known = [] if recording.contexts is None else sorted(set(recording.contexts.tolist()))
    if phase in known:
        return recording.of_context(phase)
    if phase in FACTORS:
        return recording.scaled(FACTORS[phase])
    try:
        factor = float(phase)
    except ValueError:
        names = [*FACTORS, *known]
        raise PolicyError(
            f"unknown phase {shortened(phase)} of a stream: give a context of the recording, 'clean', 'halved' or a "
            f"factor such as 0.7; {nearest(phase, names)}"
        ) from None
    if not 0 <= factor <= 1:
        raise PolicyError(f"the factor of a phase must be in [0, 1], got {shortened(phase)}")
    return recording.scaled(factor)
