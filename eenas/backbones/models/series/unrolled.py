"""Networks with exits in time: a causal stack of layers unrolled over blocks of a series, with its state passed on."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eenas.backbones.models.series.packing import PackingStep
from eenas.backbones.models.series.time_layers import RunningPool, TimeLayer
from eenas.errors import BackboneError

BLOCKS = 20
"""The number of blocks if none is given: classifiers of TEASER (Schäfer and Leser 2020, section 4.1) are as many."""

_COUNT = 1
"""The column of the state that counts the points so far."""


def block_ends(length: int, blocks: int) -> tuple[int, ...]:
    """Return the points after which `blocks` blocks of a series of `length` points end, as equal as they can be."""
    if not 1 <= blocks <= length:
        raise BackboneError(f"a series of {length} points has 1 to {length} blocks, got {blocks}")
    return tuple(round(length * (block + 1) / blocks) for block in range(blocks))


@dataclass(frozen=True, kw_only=True)
class Unrolling:
    """How a series [N, channels, length] is read: in blocks that end at the points `ends`, the last one at `length`.

    With `masked`, the last of the channels is the mask of series of different length. `pool` is what classifiers read
    of a layer (`RunningPool`). With `in_depth` there is a cut point behind each layer of each block, else only behind
    the last layer.
    """

    channels: int
    ends: tuple[int, ...]
    masked: bool = False
    pool: tuple[str, ...] = ("last", "mean", "max")
    in_depth: bool = False

    def __post_init__(self) -> None:
        """Check the points."""
        rising = all(a < b for a, b in zip((0, *self.ends), self.ends, strict=False))
        if not self.ends or not rising:
            raise BackboneError(f"ends of blocks must be rising points from 1 up, got {list(self.ends)[:20]}")
        if self.channels < 1 + self.masked:
            raise BackboneError(f"a series needs a channel beside its mask, got {self.channels} with it")

    @property
    def real(self) -> int:
        """The channels without the mask."""
        return self.channels - self.masked

    @property
    def length(self) -> int:
        """The points of a whole series."""
        return self.ends[-1]


class TimeStep(PackingStep):
    """Some layers on one block of a series: the packed vector before them to that behind them, or to logits.

    A packed vector [N, columns] holds, in this order, what classifiers read of the last of these layers; the rest of
    the state; within a block, the outputs and the mask that its next layer reads; and the points to come, one after the
    other with all their channels. `readable` is the number of columns that classifiers read, and `carried` that of the
    others. `points` counts the points of the series that are seen by then, `seen` is their share. Only the columns of
    points already seen affect those before the points to come, so a program of it can run before these are known.
    """

    def __init__(
        self, layers: nn.ModuleList, pools: nn.ModuleList, how: Unrolling, place: "StepPlace", head: nn.Module | None
    ) -> None:
        super().__init__()
        self.layers, self.pools, self.head = layers, pools, head
        self._how, self._place = how, place
        self.points = how.ends[place.block]
        self.seen = self.points / how.length
        self.readable = self._pool(place.last).columns
        self.columns = self._width(place)
        self.carried = self.columns - self.readable

    def forward(self, packed: Tensor) -> Tensor:
        """Map series [N, channels, length] in the first step, else a packed vector, to a packed vector or logits."""
        if self._place.is_first:
            states, coming = self.begin(packed), packed.transpose(1, 2).flatten(1)
            given = None
        else:
            states, given, coming = self._unpacked(packed)
        if given is None:
            given, coming = self._next_block(coming)
        values, mask = given
        values = self.advance(states, values, mask)
        readable = states[self._read]
        if self.head is not None:
            logits: Tensor = self.head(readable)
            return logits
        inside: list[Tensor] = []
        if self._place.last + 1 < len(self.layers):
            inside = [values.flatten(1)] + ([] if mask is None else [mask.flatten(1)])
        others = [state for index, state in enumerate(states) if index != self._read]
        return torch.cat([readable, *others, *inside, coming], dim=1)

    def advance(self, states: list[Tensor], values: Tensor, mask: Tensor | None) -> Tensor:
        """Run the layers on points [N, channels, l], set the states, and return what the last of the layers gives.

        `states` are the count of points and, for each layer, what is read of it and its memory, each [N, columns].
        """
        count = states[0]
        for index in range(self._place.first, self._place.last + 1):
            pooled, memory = states[1 + 2 * index : 3 + 2 * index]
            values, states[2 + 2 * index] = self.layers[index](values, memory)
            states[1 + 2 * index] = self.pools[index](values, mask, pooled, count)
        if self._place.last + 1 == len(self.layers):
            states[0] = count + (float(self._size) if mask is None else mask.sum(dim=2))
        return values

    def begin(self, series: Tensor) -> list[Tensor]:
        """Return the states before series [N, ...]."""
        return [series.new_zeros(series.shape[0], width) for width in self._widths()]

    def points_of(self, series: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """Return what the layers read of series [N, channels, >= points]: values and mask; None if layers did before.

        It is the next block of the series.
        """
        if self._place.first > 0:
            return None
        block = series[:, :, self._start(self._place) : self.points]
        return (block[:, :-1], block[:, -1:]) if self._how.masked else (block, None)

    def answer_of(self, states: list[Tensor]) -> Tensor:
        """Return what a classifier reads of the states, [N, readable]; in the last step the logits."""
        readable = states[self._read]
        return readable if self.head is None else self.head(readable)

    @property
    def is_whole(self) -> bool:
        """Whether all layers run in this step."""
        return self._place.first == 0 and self._place.last + 1 == len(self.layers)

    def since(self, first: "TimeStep") -> "TimeStep":
        """Return a step with the same modules that also reads the blocks since those of `first`."""
        place = replace(self._place, since=first._place.since)
        return TimeStep(self.layers, self.pools, self._how, place, self.head).train(self.training)

    @property
    def _read(self) -> int:
        """The state that classifiers read."""
        return 1 + 2 * self._place.last

    @property
    def _size(self) -> int:
        """The points of the blocks that this step reads."""
        return self.points - self._start(self._place)

    def _start(self, place: "StepPlace") -> int:
        return self._how.ends[place.since - 1] if place.since else 0

    def _unpacked(self, packed: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor | None] | None, Tensor]:
        """Return the states, the block that earlier layers have read (None: the next one), and the points to come."""
        before = self._place.before(len(self.layers), self._how.in_depth)
        widths = self._widths()
        at = 1 + 2 * before.last
        order = [at, *(index for index in range(len(widths)) if index != at)]
        inside = self._inside(before)
        coming = self._coming(before)
        parts = list(torch.split(packed, [*(widths[index] for index in order), *inside, coming], dim=1))
        states = [parts[order.index(index)] for index in range(len(widths))]
        if not inside:
            return states, None, parts[-1]
        values = parts[len(order)].reshape(-1, self._layer(before.last).outputs, self._size)
        mask = parts[len(order) + 1].unsqueeze(1) if self._how.masked else None
        return states, (values, mask), parts[-1]

    def _next_block(self, coming: Tensor) -> tuple[tuple[Tensor, Tensor | None], Tensor]:
        """Return the values and the mask of the next block, and the points behind it."""
        channels = self._how.channels
        block = coming[:, : self._size * channels].reshape(-1, self._size, channels).transpose(1, 2)
        rest = coming[:, self._size * channels :]
        if not self._how.masked:
            return (block, None), rest
        return (block[:, :-1], block[:, -1:]), rest

    def _widths(self) -> list[int]:
        """The columns of the states: the count, then what is read of each layer, and its memory."""
        pairs = ((self._pool(index).columns, self._layer(index).memory) for index in range(len(self.layers)))
        return [_COUNT, *(width for pair in pairs for width in pair)]

    def _inside(self, place: "StepPlace") -> list[int]:
        """The columns within a block, behind the layers of `place`; none if all have read it."""
        if place.last + 1 == len(self.layers):
            return []
        size = self._how.ends[place.block] - self._start(place)
        return [self._layer(place.last).outputs * size] + ([size] if self._how.masked else [])

    def _coming(self, place: "StepPlace") -> int:
        return (self._how.length - self._how.ends[place.block]) * self._how.channels

    def _width(self, place: "StepPlace") -> int:
        return sum(self._widths()) + sum(self._inside(place)) + self._coming(place)

    def _layer(self, index: int) -> TimeLayer:
        layer = self.layers[index]
        assert isinstance(layer, TimeLayer)
        return layer

    def _pool(self, index: int) -> RunningPool:
        pool = self.pools[index]
        assert isinstance(pool, RunningPool)
        return pool


@dataclass(frozen=True)
class StepPlace:
    """The layers `first` to `last` on the blocks `since` to `block`, read as one."""

    since: int
    block: int
    first: int
    last: int

    @property
    def is_first(self) -> bool:
        """Whether nothing runs before."""
        return self.since == 0 and self.first == 0

    def before(self, layers: int, in_depth: bool) -> "StepPlace":
        """The place before this one."""
        if self.first > 0:
            return StepPlace(self.since, self.block, self.first - 1, self.first - 1)
        return StepPlace(self.since - 1, self.since - 1, layers - 1 if in_depth else 0, layers - 1)


def joined_steps(steps: Sequence[nn.Module]) -> list[nn.Module]:
    """Return the modules with successive steps of all layers as one step, which reads their blocks at once."""
    found: list[nn.Module] = []
    for step in steps:
        before = found[-1] if found else None
        if isinstance(step, TimeStep) and isinstance(before, TimeStep) and before.is_whole and step.is_whole:
            found[-1] = step.since(before)
        else:
            found.append(step)
    return found


def unrolled(layers: Sequence[TimeLayer], num_classes: int, how: Unrolling) -> nn.Sequential:
    """Return the network that runs `layers` on one block of a series after the other; [N, channels, length] to logits.

    It is a plain sequence, which is cut between its parts: `time3` is the whole stack on the third block, with
    `how.in_depth` `time3_layer1` its first layer there, and `final` the last part with the classifier. All blocks share
    the layers. An exit at `time3` answers from the points up to the end of the third block.
    """
    if not layers:
        raise BackboneError("a network over time needs at least one layer, got none")
    shared = nn.ModuleList(layers)
    kept = [layer.pool(how.pool) for layer in layers]
    pools = nn.ModuleList(kept)
    groups = [(index, index) for index in range(len(layers))] if how.in_depth else [(0, len(layers) - 1)]
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    for block in range(len(how.ends)):
        for first, last in groups:
            is_final = block == len(how.ends) - 1 and last == len(layers) - 1
            name = f"time{block + 1}" + (f"_layer{last + 1}" if how.in_depth else "")
            head = nn.Linear(kept[-1].columns, num_classes) if is_final else None
            steps["final" if is_final else name] = TimeStep(
                shared, pools, how, StepPlace(block, block, first, last), head
            )
    return nn.Sequential(steps)
