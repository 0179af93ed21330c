"""What learned policies are trained on: features, correctness, likelihoods and costs of one calibration table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import log_probabilities
from eenas.policies.learned.features import table_features

Values = NDArray[np.float64]

DIGITS = 4
"""The number of significant digits of stored weights."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The data of N samples with K exits.

    `features` [N, K - 1, F] are those of the kind. `right` [N, K] is the weight of the sample where the exit is
    correct, else 0. `costs` [K] are the MACs of leaving at each exit as a share of the final one's.
    """

    table: ExitTable
    temperatures: tuple[float, ...]
    features: Values

    @classmethod
    def of(cls, table: ExitTable, temperatures: Sequence[float], inputs: Sequence[int]) -> "TrainingData":
        """Return the data of a table, with the features at the positions `inputs` of FEATURES."""
        found = table_features(table.logits, table.answers(), temperatures)
        return cls(table, tuple(temperatures), found[:, :, list(inputs)])

    def take(self, indices: NDArray[np.int64]) -> "TrainingData":
        """Return the data of some samples."""
        return TrainingData(self.table.take(indices), self.temperatures, self.features[indices])

    @cached_property
    def right(self) -> Values:
        """The weights of correct answers, [N, K]."""
        return self.table.correct() * self.weights[:, None]

    @cached_property
    def weights(self) -> Values:
        """The weights of the samples, [N] with mean 1."""
        weights = self.table.weights
        return np.ones(len(self.table)) if weights is None else weights

    @cached_property
    def costs(self) -> Values:
        """The relative costs, [K]."""
        macs = self.table.costs[MACS]
        return np.asarray(macs / macs[-1], dtype=np.float64)

    @cached_property
    def likelihoods(self) -> Values:
        """The log-probability of the true class at each exit and its temperature, [N, K] in nats."""
        rows = np.arange(len(self.table))
        each = [
            log_probabilities(self.table.logits[:, k] / np.float32(temperature))[rows, self.table.labels]
            for k, temperature in enumerate(self.temperatures)
        ]
        return np.stack(each, axis=1)

    def rewards(self, price: float) -> Values:
        """Return the reward of leaving at each exit, [N, K]: correct minus `price` times the relative cost."""
        return self.right - price * self.costs

    @cached_property
    def scaling(self) -> tuple[Values, Values]:
        """The mean and standard deviation of each feature at each exit, [K - 1, F]; 1 for constant features."""
        spread = self.features.std(axis=0)
        return self.features.mean(axis=0), np.where(spread > 1e-6, spread, 1.0)

    @cached_property
    def standardised(self) -> Values:
        """The features with mean 0 and standard deviation 1 at each exit, [N, K - 1, F]."""
        mean, spread = self.scaling
        return (self.features - mean) / spread


def rounded(values: Values) -> tuple[float, ...]:
    """Return numbers with DIGITS significant digits, as they are stored."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.reshape(-1).tolist())
