"""A controller on each device of a fleet, which learns from the samples of its device alone."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.errors import SimulationError
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.replayed import answered_correctly, replay


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlledDevices:
    """A controller of this `kind` on every device, over the samples of a recording with answers.

    The first `on_device` exits are on the device. A controller learns from a sample before it decides on the next one.
    Raises SimulationError for a recording without labels.
    """

    kind: ControllerKind
    recording: Recording
    on_device: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that answers are known."""
        if self.recording.correct is None:
            raise SimulationError(
                f"{self.recording.name}: says nothing of correct answers; give a recording with labels"
            )

    def __len__(self) -> int:
        """The number of samples N."""
        return len(self.recording)

    def of(self, owners: NDArray[np.int64], samples: NDArray[np.int64]) -> SampleDecisions:
        """Return the decisions on R arrivals from their devices and samples [R], sorted by device and arrival."""
        exits = np.empty(len(samples), dtype=np.int64)
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        for start, end in zip(starts, (*starts[1:], len(owners)), strict=True):
            own = samples[start:end]
            seed = int(np.random.default_rng([self.seed, 7, int(owners[start])]).integers(2**31))
            controller = Controller(self.kind, self.recording.controlled(), seed=seed)
            seen = replace(self.recording, confidences=self.recording.confidences[own], correct=None, contexts=None)
            exits[start:end] = replay(controller, seen).exits
        known = self.recording.correct
        assert known is not None
        every = np.broadcast_to(np.arange(known.shape[1]), known.shape)
        right = answered_correctly(self.recording, every, self.kind.final_rule)
        assert right is not None
        local = known[:, self.on_device - 1] if self.on_device else np.zeros(len(known), dtype=np.bool_)
        return SampleDecisions(exits=exits, right=right[samples, exits], right_on_device=local[samples])
