"""Series that arrive bit by bit, answered by a network with exits in time; nothing that was read is computed again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.backbones.models.series.unrolled import TimeStep
from eenas.errors import InputError, plural
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.policy import Policy


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkAnswers:
    """The answers for n series so far.

    `decided` bool [n] tells which series have their answer. `classes` int64 [n] are their classes, and for the others
    the most probable ones so far, -1 before the first exit. `exits` int64 [n] are the last exits read, -1 before the
    first. `probabilities` float64 [n, C] are those of that exit, equal for all classes before the first one. `points`
    int64 [n] counts the points up to that exit.
    """

    decided: NDArray[np.bool_]
    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    points: NDArray[np.int64]


class NetworkStream:
    """n series of one length that begin together, read block by block by a network with exits in time (`unrolled`).

    Its time steps run on the states themselves, not on packed vectors, so that nothing is copied but for who leaves.
    `feed` takes all points so far of the series that have no answer yet, runs the blocks that are complete since the
    last call, and drops the series that get their answer. Between calls the state of the layers is kept, so the sum
    of all calls costs what `predict` on whole series costs. Raises InputError for a network without exits in time.
    """

    def __init__(self, network: EarlyExitNetwork, policy: Policy, n: int) -> None:
        self._network, self._policy = network, policy
        self.channels, self.length = stream_shape(network)
        self._segments = time_steps(network)
        self.ends = tuple(steps[-1].points for steps in self._segments)
        self.waiting = n
        self._next, self._points = 0, 0
        self._states: list[Tensor] = []
        self._block: tuple[Tensor, Tensor | None] | None = None
        self._state = policy.start(n)
        self._latest = _nothing(n, network.design.num_classes)

    @torch.inference_mode()
    def feed(self, series: NDArray[Any]) -> NetworkAnswers:
        """Return the answers for series [n, channels, points so far], all that are without an answer, in their order.

        Points behind the length of the network's series are ignored. Raises InputError for another number of series or
        channels, for fewer points than before, and for values that are not finite.
        """
        self._check(series)
        points = min(series.shape[2], self.length)
        self._points = points
        found = self._latest
        given: Tensor | None = None
        rows = np.arange(self.waiting)
        while self.waiting and self._next < len(self.ends) and self.ends[self._next] <= points:
            if given is None:
                given = self._transformed(series[:, :, :points])
            leave = self._run(given, rows, found)
            rows, given = rows[~leave], given[torch.from_numpy(~leave)]
            self._next += 1
        self._latest = NetworkAnswers(**{name: values[rows] for name, values in vars(found).items()})
        return found

    def _run(self, given: Tensor, rows: NDArray[np.int64], found: NetworkAnswers) -> NDArray[np.bool_]:
        """Run the next segment and its exit on the waiting series, write their answers, and return who leaves."""
        k = self._next
        if not k:
            self._states = self._segments[0][0].begin(given)
        block = self._block
        for step in self._segments[k]:
            block = step.points_of(given) or block
            assert block is not None
            values, mask = block
            block = (step.advance(self._states, values, mask), mask)
        found_logits = self._network.steps(given).logits(k, self._segments[k][-1].answer_of(self._states), None)
        logits = found_logits.numpy()
        leave, state = self._policy.decide(k, logits, self._state)
        found.decided[rows], found.exits[rows], found.points[rows] = leave, k, self.ends[k]
        found.probabilities[rows], found.classes[rows] = (
            found_logits.double().softmax(dim=1).numpy(),
            logits.argmax(axis=1),
        )
        found.classes[rows[leave]] = self._policy.answer(state[leave])
        stay = np.flatnonzero(~leave)
        if len(stay) < len(leave):
            kept = torch.from_numpy(stay)
            self._states = [each[kept] for each in self._states]
            if block is not None:
                values, mask = block
                block = (values[kept], None if mask is None else mask[kept])
        self._block, self._state, self.waiting = block, state[stay], len(stay)
        return np.asarray(leave)

    def _transformed(self, series: NDArray[Any]) -> Tensor:
        """Return what the network takes [n, channels, length]; points to come are filled, and not read yet."""
        whole = np.zeros((*series.shape[:2], self.length), dtype=np.float32)
        whole[:, :, : series.shape[2]] = series
        return self._network.transform(torch.from_numpy(whole))

    def _check(self, series: NDArray[Any]) -> None:
        if series.ndim != 3 or series.shape[1] != self.channels:
            raise InputError(
                f"series must be [n, {plural(self.channels, 'channel')}, points] as in training, got "
                f"{list(series.shape)}"
            )
        if len(series) != self.waiting:
            raise InputError(
                f"a stream goes on with the {self.waiting} series that have no answer yet, in their order, got "
                f"{len(series)}; leave out those that were decided, or begin a new stream"
            )
        if series.shape[2] < self._points:
            raise InputError(
                f"a stream goes on with all points so far, at least {self._points}, got {series.shape[2]}; give the "
                "earlier points too, or begin a new stream"
            )
        if not np.isfinite(series).all():
            raise InputError("series must be finite numbers, got NaN or infinity; fill the gaps")


def stream_shape(network: EarlyExitNetwork) -> tuple[int, int]:
    """Return the channels and the length of the series of a network."""
    channels, length = network.transform.shape
    return int(channels), int(length)


def exit_points(network: EarlyExitNetwork) -> tuple[int, ...]:
    """Return the points after which each exit answers. Raises InputError for a network without exits in time."""
    return tuple(steps[-1].points for steps in time_steps(network))


def time_steps(network: EarlyExitNetwork) -> tuple[tuple[TimeStep, ...], ...]:
    """Return the time steps up to each exit since the one before. Raises InputError for other networks."""
    found = []
    for segment in network.steps(torch.zeros(1, *network.transform.shape)).segments:
        parts = list(segment) if isinstance(segment, nn.Sequential) else []
        steps = tuple(part for part in parts if isinstance(part, TimeStep))
        if not steps or len(steps) < len(parts):
            raise InputError(
                "only a network with exits in time answers series while they arrive; fit one: eenas.fit_in_time"
            )
        found.append(steps)
    return tuple(found)


def _nothing(n: int, classes: int) -> NetworkAnswers:
    return NetworkAnswers(
        decided=np.zeros(n, dtype=np.bool_),
        classes=np.full(n, -1, dtype=np.int64),
        exits=np.full(n, -1, dtype=np.int64),
        probabilities=np.full((n, classes), 1.0 / classes),
        points=np.zeros(n, dtype=np.int64),
    )
