"""Layers that read a series block by block and carry a state on, so that nothing is computed twice."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from eenas.errors import BackboneError

Cell = Literal["gru", "lstm", "rnn"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class TimeLayer(nn.Module, ABC):
    """A layer over time with a state, for `unrolled`; the user's own derive from it.

    `outputs` are the channels that it gives for each point, which must depend on points up to that one only, and
    `memory` is the number of columns of its state. Order of calls: the state of a series begins as zeros [N, memory];
    `step` then gets one block after the other. A block may have any length from 1 up.
    """

    def __init__(self, outputs: int, memory: int) -> None:
        super().__init__()
        if outputs < 1 or memory < 0:
            raise BackboneError(f"a layer over time needs at least one output, got {outputs} and a state of {memory}")
        self.outputs, self.memory = outputs, memory

    @abstractmethod
    def step(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map points [N, inputs, l] and the state [N, memory] to outputs [N, outputs, l] and the next state.

        Points of the padding behind a series may give anything: nothing reads what depends on them.
        """

    def pool(self, kinds: tuple[str, ...]) -> "RunningPool":
        """Return what classifiers read of the outputs."""
        return RunningPool(self.outputs, kinds)

    def forward(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run `step`, so that hooks see the layer."""
        return self.step(values, state)


class RecurrentLayer(TimeLayer):
    """A layer of LSTM, GRU or plain recurrent cells; `inputs` and `hidden` are its channels."""

    def __init__(self, inputs: int, hidden: int, cell: Cell = "gru") -> None:
        if cell not in CELLS:
            raise BackboneError(f"cell must be one of {', '.join(CELLS)}, got {cell!r}")
        super().__init__(hidden, 2 * hidden if cell == "lstm" else hidden)
        self.cell = CELLS[cell](inputs, hidden, batch_first=True)
        self.is_lstm = cell == "lstm"

    def step(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimeLayer.step`."""
        given = values.transpose(1, 2)
        if self.is_lstm:
            hidden, memory = (part.unsqueeze(0).contiguous() for part in state.chunk(2, dim=1))
            found, (hidden, memory) = self.cell(given, (hidden, memory))
            return found.transpose(1, 2), torch.cat([hidden[0], memory[0]], dim=1)
        found, hidden = self.cell(given, state.unsqueeze(0).contiguous())
        return found.transpose(1, 2), hidden[0]


class CausalConvolution(TimeLayer):
    """A convolution over the latest `points` points, `dilation` apart, LayerNorm over the channels, and ReLU.

    The state holds the last (points - 1) * dilation inputs. If inputs and outputs are as many, the input is added to
    the output, as in the temporal convolutional network of Bai, Kolter and Koltun 2018 (section 3.3).
    """

    def __init__(self, inputs: int, outputs: int, points: int = 5, dilation: int = 1) -> None:
        if min(points, dilation) < 1:
            raise BackboneError(f"a convolution needs at least one point, got {points} at a dilation of {dilation}")
        self.reach = (points - 1) * dilation
        super().__init__(outputs, inputs * self.reach)
        self.inputs = inputs
        self.conv = nn.Conv1d(inputs, outputs, points, dilation=dilation)
        self.norm = nn.LayerNorm(outputs)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def step(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimeLayer.step`."""
        given = torch.cat([state.reshape(-1, self.inputs, self.reach), values], dim=2) if self.reach else values
        found = torch.relu(self.norm(self.conv(given).transpose(1, 2)).transpose(1, 2))
        if self.inputs == self.outputs:
            found = found + values
        return found, given[:, :, given.shape[2] - self.reach :].flatten(1)


POOLS = ("last", "mean", "max", "positive")


class RunningPool(nn.Module):
    """What a classifier reads of a layer at any time.

    `kinds` are some of POOLS: the last output of a series, the mean and the maximum so far, and the share of points so
    far with a positive output. With `limits` [L, channels], "positive" holds the share of points at which each output
    is above each of its L limits, less the share at which it is below. The state [N, columns] holds them in the order
    of POOLS.
    """

    def __init__(self, channels: int, kinds: tuple[str, ...], limits: nn.Parameter | None = None) -> None:
        super().__init__()
        unknown = [kind for kind in kinds if kind not in POOLS]
        if unknown or not kinds:
            raise BackboneError(f"pool must be some of {', '.join(POOLS)}, got {list(kinds)}")
        self.kinds = tuple(kind for kind in POOLS if kind in kinds)
        self.limits = limits
        many = 1 if limits is None else limits.shape[0]
        self._widths = [channels * (many if kind == "positive" else 1) for kind in self.kinds]
        self.columns = sum(self._widths)

    def forward(self, found: Tensor, mask: Tensor | None, state: Tensor, count: Tensor) -> Tensor:
        """Return the next state from outputs [N, channels, l] and the number of points before them, `count` [N, 1]."""
        before = dict(zip(self.kinds, torch.split(state, self._widths, dim=1), strict=True))
        points = float(found.shape[2]) if mask is None else mask.sum(dim=2)
        parts = []
        for kind in self.kinds:
            old = before[kind]
            if kind == "positive" and self.limits is not None:
                parts += _signs(found, self.limits, mask, old, count)
            elif kind in ("mean", "positive"):
                counted = found if kind == "mean" else _positive(found)
                total = counted.sum(dim=2) if mask is None else (counted * mask).sum(dim=2)
                parts.append(old + (total - points * old) / (count + points).clamp(min=1.0))
            elif kind == "max":
                # there is no maximum before the first point
                known = torch.where(count > 0, old, torch.full_like(old, -_LARGE))
                given = found if mask is None else found * mask - _LARGE * (1.0 - mask)
                parts.append(torch.maximum(known, given.amax(dim=2)))
            else:
                parts.append(found[:, :, -1] if mask is None else _last(found, mask, old))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


_LARGE = 1e6
"""Stands for infinity, whose products with 0 are no numbers."""


def _positive(found: Tensor) -> Tensor:
    """Return 1 where an output is positive, else 0, with the gradient of a ramp from -1 to 1 (straight through)."""
    hard = (found > 0).to(found.dtype)
    if not (torch.is_grad_enabled() and found.requires_grad):
        return hard
    ramp = found.clamp(-1.0, 1.0) / 2
    return hard + (ramp - ramp.detach())


def _signs(found: Tensor, limits: Tensor, mask: Tensor | None, old: Tensor, count: Tensor) -> list[Tensor]:
    """Return the mean signs so far of outputs [N, channels, l] less each limit [L, channels], L of [N, channels].

    Signs need no copy of the outputs as numbers of another type, and limit by limit they stay in the processor's cache.
    """
    by_point = found.transpose(1, 2)
    known = None if mask is None else mask.transpose(1, 2)
    points = torch.full_like(count, found.shape[2]) if known is None else known.sum(dim=1)
    weight, parts = points / (count + points).clamp(min=1.0), []
    for limit, before in zip(limits.unbind(0), old.chunk(len(limits), dim=1), strict=True):
        signs = torch.sign(by_point - limit)
        if known is not None:
            mean = (signs * known).sum(dim=1) / points.clamp(min=1.0)
        else:
            mean = signs.mean(dim=1) if signs.shape[1] > 1 else signs[:, 0]
        parts.append(torch.lerp(before, mean, weight))
    return parts


def _last(found: Tensor, mask: Tensor, old: Tensor) -> Tensor:
    """Return the output [N, channels] at the last point of each series, `old` for a series that ended before."""
    known = torch.cat([old.unsqueeze(2), found], dim=2)
    index = mask.sum(dim=2, keepdim=True).long().expand(-1, known.shape[1], -1)
    return known.gather(2, index).squeeze(2)
