"""Edge inference outage and missed deadlines: how often random batches of samples fall short of a target."""

from dataclasses import dataclass

import numpy as np

from eenas.deployment.fleet.fleet_outcome import FleetOutcome
from eenas.deployment.fleet.split_times import number_from_zero, positive_number
from eenas.errors import SimulationError

BATCH, SHUFFLES, MOST_BATCHES = 256, 100, 100
"""The size of a batch, the number of shuffles, and the most batches that are cut from each."""
NEAR = 1e-9


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Shares in [0, 1] of random batches that fall short (Pacheco et al. 2021, "Calibration-aided edge inference").

    `outage` is the edge inference outage probability: the samples that leave on the device are right less often than
    `target_accuracy`; a batch without such samples counts as no outage. `missed_deadline` is the missed-deadline
    probability: the mean latency exceeds `target_ms`, or the accuracy of all samples is below `target_accuracy`.
    """

    target_accuracy: float
    target_ms: float
    outage: float
    missed_deadline: float


def reliability(found: FleetOutcome, target_accuracy: float, target_ms: float, seed: int = 0) -> Reliability:
    """Return how often batches of BATCH samples fall short, over SHUFFLES seeded shuffles of a simulation.

    Raises SimulationError for targets out of range and fewer samples than a batch has.
    """
    least = number_from_zero("the target accuracy", target_accuracy, 1.0)
    most = positive_number("the target latency in ms", target_ms)
    batches = min(len(found) // BATCH, MOST_BATCHES)
    if not batches:
        raise SimulationError(
            f"batches of {BATCH} samples need as many, the simulation has {len(found)}; simulate more seconds"
        )
    random, outages, missed = np.random.default_rng([seed, 5]), [], []
    for _ in range(SHUFFLES):
        order = random.permutation(len(found))[: batches * BATCH].reshape(batches, BATCH)
        here, right = found.on_device[order], found.right[order]
        outages.append((here & right).sum(axis=1) < least * here.sum(axis=1) - NEAR)
        late = found.latency_ms[order].mean(axis=1) > most + NEAR
        missed.append(late | (right.sum(axis=1) < least * BATCH - NEAR))
    return Reliability(
        target_accuracy=least,
        target_ms=most,
        outage=float(np.mean(outages)),
        missed_deadline=float(np.mean(missed)),
    )
