"""The decisions of a policy on an exit table, split between the device and the server."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import SimulationError
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.policy import Policy


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleDecisions:
    """The exit [N] at which each of N samples leaves, and whether its answer is right [N].

    `right_on_device` [N] says whether the last exit on the device is right, which answers if the server does not; it is
    all False without exits there.
    """

    exits: NDArray[np.int64]
    right: NDArray[np.bool_]
    right_on_device: NDArray[np.bool_]

    def __len__(self) -> int:
        """The number of samples N."""
        return len(self.exits)

    def of(self, owners: NDArray[np.int64], samples: NDArray[np.int64]) -> "SampleDecisions":
        """Return the decisions on R arrivals by their samples [R]; they are the same on every device."""
        return SampleDecisions(
            exits=self.exits[samples], right=self.right[samples], right_on_device=self.right_on_device[samples]
        )

    def __post_init__(self) -> None:
        """Check that there are samples, and as many of each."""
        if not len(self.exits) == len(self.right) == len(self.right_on_device) or not len(self.exits):
            raise SimulationError("a simulation needs at least one sample, and its exit and answers; give a table")


def decide(policy: Policy, table: ExitTable, on_device: int) -> SampleDecisions:
    """Return the decisions of a policy on a table whose first `on_device` exits are on the device.

    Raises PolicyError if the policy is for another number of exits.
    """
    found = policy.apply(table)
    right, fallback = found.answer == table.labels, found.answer.copy()
    state = policy.start(len(table))
    if isinstance(policy, ExpertPolicy) and isinstance(table, RoutedTable):
        state = policy.begin(table.chosen)
    staying = np.arange(len(table))
    for k in range(on_device):
        leaving, state = policy.decide(k, table.logits[staying, k], state)
        if k == on_device - 1:
            fallback[staying] = policy.answer(state)
        staying, state = staying[~leaving], state[~leaving]
    known = right if on_device == table.num_exits else fallback == table.labels
    return SampleDecisions(
        exits=found.exit_index, right=right, right_on_device=known if on_device else np.zeros(len(table), np.bool_)
    )
