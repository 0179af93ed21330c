"""Fixed convolutions of a series, read through thresholds: features over time that no gradient trains."""

from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.backbones.models.series.time_layers import RunningPool, TimeLayer
from eenas.errors import BackboneError

POINTS = 9
"""The points of a kernel, of which three weigh 2 and six weigh -1."""
KERNELS, THRESHOLDS = 84, 6
"""Kernels of each dilation, and thresholds of each convolution, if none are given."""
_ALL = tuple(combinations(range(POINTS), 3))
_MOST_DILATIONS = 6


class FixedConvolutions(TimeLayer):
    """The convolutions of MiniRocket (Dempster, Schmidt and Webb 2021, section 3.1), causal.

    Each of `kernels` (at most 84) is applied with every dilation 1, 2, 4, ... that fits into `length`, to the sum of
    some of the channels. With the pool "positive", a classifier reads the share of points so far at which each output
    is above each of its `thresholds`; `fit` sets these to quantiles of the outputs for a few training series, in
    golden-ratio order. Nothing of it is trained by gradients.
    """

    def __init__(
        self, inputs: int, length: int, *, kernels: int = KERNELS, thresholds: int = THRESHOLDS, seed: int = 0
    ) -> None:
        if not 1 <= kernels <= len(_ALL) or thresholds < 1:
            raise BackboneError(
                f"kernels must be 1 to {len(_ALL)} and thresholds at least 1, got {kernels}, {thresholds}"
            )
        dilations = [2**power for power in range(_MOST_DILATIONS) if power == 0 or 2**power * (POINTS - 1) < length]
        super().__init__(len(dilations) * kernels, inputs * (POINTS - 1) * dilations[-1])
        self.inputs, self.dilations, self.thresholds = inputs, tuple(dilations), thresholds
        self.reach = (POINTS - 1) * dilations[-1]
        generator = np.random.default_rng(seed)
        chosen = generator.permutation(len(_ALL))[:kernels]
        weights = torch.stack([_weights(kernels, chosen, inputs, generator) for _ in dilations])
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.limits = nn.Parameter(torch.zeros(thresholds, len(dilations) * kernels), requires_grad=False)

    def step(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimeLayer.step`."""
        given = torch.cat([state.reshape(-1, self.inputs, self.reach), values], dim=2)
        return self._convolved(given), given[:, :, given.shape[2] - self.reach :].flatten(1)

    def pool(self, kinds: tuple[str, ...]) -> RunningPool:
        """See `TimeLayer.pool`: "positive" counts from the thresholds up."""
        return RunningPool(self.outputs, kinds, self.limits)

    @torch.no_grad()
    def fit(self, series: Tensor) -> None:
        """Set the thresholds from series [n, inputs, length], each convolution's from one of them in turn."""
        padded = nn.functional.pad(series, (self.reach, 0))
        found = self._convolved(padded).numpy().astype(np.float64)
        total = self.limits.numel()
        shares = (np.arange(1, total + 1) * ((np.sqrt(5) + 1) / 2)) % 1.0
        rows = found[np.arange(found.shape[1]) % len(found), np.arange(found.shape[1])]
        limits = [
            np.quantile(row, shares[k * self.thresholds : (k + 1) * self.thresholds]) for k, row in enumerate(rows)
        ]
        self.limits.copy_(torch.from_numpy(np.stack(limits, axis=1)))

    def _convolved(self, given: Tensor) -> Tensor:
        """Return the convolutions [N, dilations * kernels, l] of l points and the `reach` points before them.

        They are products of few columns, which take a fraction of the time of `conv1d`, and lie channel by channel for
        each point, as `RunningPool` reads them.
        """
        batch, points = given.shape[0], given.shape[2] - self.reach
        by_channel, parts = given.transpose(0, 1), []
        for weights, dilation in zip(self.weights, self.dilations, strict=True):
            span = (POINTS - 1) * dilation
            windows = by_channel[:, :, self.reach - span :].unfold(2, span + 1, 1)[..., ::dilation]
            columns = windows.permute(0, 3, 1, 2).reshape(self.inputs * POINTS, batch * points)
            parts.append(torch.mm(columns.t(), weights.flatten(1).t()))
        return torch.cat(parts, dim=1).reshape(batch, points, self.outputs).transpose(1, 2)


def _weights(kernels: int, chosen: NDArray[np.int64], inputs: int, generator: np.random.Generator) -> Tensor:
    """Return the weights [kernels, inputs, 9], each kernel on a random choice of 1 to 9 channels."""
    found = torch.zeros(kernels, inputs, POINTS)
    for row, number in enumerate(chosen):
        shape = torch.full((POINTS,), -1.0)
        shape[list(_ALL[number])] = 2.0
        count = int(2 ** generator.uniform(0, np.log2(min(inputs, POINTS) + 1)))
        found[row, generator.permutation(inputs)[:count]] = shape
    return found
