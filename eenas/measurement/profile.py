"""The profile of a backbone: the cost of reaching each cut point, and the cost of branches."""

import copy
import functools
import hashlib
import importlib.metadata
import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from eenas import __version__, bounds, specs
from eenas.backbones.chain import Chain
from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.backbones.graphs.message_counts import message_counts
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.branches.building import check_logits
from eenas.branches.cascade import Cascade
from eenas.branches.registry import FAMILIES
from eenas.errors import CutError, MeasurementError, SpecError, nearest
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.macs import count, count_macs, count_parameters
from eenas.measurement.runtime import Joints, Runtime, branch_to_time
from eenas.measurement.torch_runtime import TorchRuntime
from eenas.seeding import seeded

Metric = Literal["macs", "latency", "parameters"]


class MeasurementCache(Protocol):
    """A cache of measurements by their subject and place. Values are tables of JSON data."""

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the value of `key`, or None."""

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """Store `value` under `key` unless it exists, and return the stored value, which the caller must use."""

    def once(self, key: str, work: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the value of `key`, or store what `make` returns. Only one worker at a time makes it.

        `work` says what the others wait for.
        """


class MemoryCache:
    """A cache in memory."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """See `MeasurementCache.get`."""
        return copy.deepcopy(self._values.get(key))

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """See `MeasurementCache.put`."""
        return copy.deepcopy(self._values.setdefault(key, copy.deepcopy(value)))

    def once(self, key: str, work: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """See `MeasurementCache.once`."""
        kept = self.get(key)
        return self.put(key, make()) if kept is None else kept


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The costs of a backbone. MACs and parameters are for one sample and cumulative up to each cut point.

    `latency_ms` are the latencies of the prefixes up to each cut point, each timed as one program. Without a latency
    measurement it is empty and the other latencies are None. `total_latency` is that of the whole chain,
    `plain_latency` that of the user's own module, `decision` the host's time for one decision, and `joints` the time of
    an answer outside programs. `total_parameters` are the module's. `uncounted` names product operators that are
    missing from the MACs. `messages` [P + 1] counts the message-passing layers up to each cut point and in all; it is
    empty for networks that pass no messages.
    """

    backbone: str
    cut_points: tuple[CutPoint, ...]
    macs: tuple[int, ...]
    total_macs: int
    parameters: tuple[int, ...]
    total_parameters: int
    latency_ms: tuple[Latency, ...] = ()
    total_latency: Latency | None = None
    plain_latency: Latency | None = None
    decision: Latency | None = None
    joints: Joints | None = None
    uncounted: tuple[str, ...] = ()
    messages: tuple[int, ...] = ()

    @property
    def plain_ms(self) -> float | None:
        """The median latency in ms of the backbone without exits: its module or its chain, whichever is faster.

        Exits are timed on the chain. Relative to a slower module they would be credited with the savings of the chain.
        None if the latency was not measured.
        """
        if self.plain_latency is None or self.total_latency is None:
            return None
        return min(self.plain_latency.median_ms, self.total_latency.median_ms)

    @property
    def reached_ms(self) -> tuple[float, ...]:
        """The median latency in ms up to each cut point and to the end of the chain. Empty if it was not measured.

        By noise a part timed alone may be slower than a longer one; here more work never takes less time.
        """
        if self.total_latency is None or len(self.latency_ms) != len(self.cut_points):
            return ()
        times = (*self.latency_ms, self.total_latency)
        return tuple(itertools.accumulate((each.median_ms for each in times), max))

    def index(self, name: str) -> int:
        """Return the position of a cut point. Raises CutError with the nearest names."""
        names = [point.name for point in self.cut_points]
        if name not in names:
            raise CutError(f"the profile of {self.backbone} has no cut point {name!r}; {nearest(name, names)}")
        return names.index(name)

    def share(self, i: int, metric: Metric) -> float:
        """Return the share in [0, 1] of the backbone's cost that is spent on reaching cut point `i`.

        Raises MeasurementError for "latency" if it was not measured.
        """
        if metric == "macs":
            part, whole = float(self.macs[i]), float(self.total_macs)
        elif metric == "parameters":
            part, whole = float(self.parameters[i]), float(self.total_parameters)
        elif metric == "latency":
            if not self.latency_ms or self.total_latency is None:
                raise MeasurementError(f"the latency of {self.backbone} was not measured; measure it, or place by macs")
            part, whole = self.latency_ms[i].median_ms, self.total_latency.median_ms
        else:
            raise MeasurementError(f"unknown metric {metric!r}; {nearest(metric, ('macs', 'latency', 'parameters'))}")
        return min(part / whole, 1.0) if whole > 0 else 0.0

    def to_table(self) -> dict[str, Any]:
        """Return every field as JSON data; `from_table` is the inverse. Empty `messages` are left out."""
        table = {field.name: specs.to_table(getattr(self, field.name)) for field in fields(self)}
        return table if self.messages else {name: value for name, value in table.items() if name != "messages"}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "Profile":
        """Read the result of `to_table`. Raises MeasurementError or SpecError for anything else."""
        try:
            found = specs.read_fields(cls, table, file=file, key=key)
        except SpecError as error:
            raise MeasurementError(f"not a profile: {error}; measure the backbone again") from None
        points = len(found.cut_points)
        if len(found.macs) != points or len(found.parameters) != points or len(found.latency_ms) not in (0, points):
            raise MeasurementError(f"{file or 'a profile'}: {points} cut points need as many costs; measure them again")
        if len(found.messages) not in (0, points + 1):
            raise MeasurementError(f"{file or 'a profile'}: messages are {points + 1} counts; measure them again")
        return found


@dataclass(frozen=True, kw_only=True)
class BranchCost:
    """The cost of a branch: MACs of one sample, parameters, and its latency alone (None: not measured)."""

    macs: int
    parameters: int
    latency: Latency | None = None


def profile_backbone(
    backbone: Backbone,
    chain: Chain,
    *,
    device: torch.device,
    latency: LatencySpec | None,
    cache: MeasurementCache | None = None,
    runtime: Runtime | None = None,
) -> Profile:
    """Measure a backbone, split at `chain.names` (cut points of the backbone), on `device`.

    MACs are counted per segment and added up. With `latency`, every prefix, the whole chain, the plain module and one
    decision are timed in `runtime` (default: torch). Latencies are read from `cache` if the same was timed there
    before. The backbone's module is not moved. Raises CutError for an unknown cut point and MeasurementError if
    something cannot be measured.
    """
    known = {point.name: point for point in backbone.all_cut_points}
    missing = [name for name in chain.names if name not in known]
    if missing:
        raise CutError(f"{backbone.name} has no cut point {missing[0]!r}; {nearest(missing[0], known)}")
    points = tuple(known[name] for name in chain.names)
    sample = backbone.example(1).cpu()
    macs, parameters, reached = [], [], 0
    seen: dict[int, int] = {}
    uncounted: dict[str, None] = {}
    for k, segment in enumerate(chain.segments):
        counted = count(segment, sample if k == 0 else points[k - 1].shape)
        reached += counted.macs
        uncounted.update(dict.fromkeys(counted.uncounted))
        seen.update((id(parameter), parameter.numel()) for parameter in segment.parameters())
        macs.append(reached)
        parameters.append(sum(seen.values()))
    profile = Profile(
        backbone=backbone.name,
        cut_points=points,
        macs=tuple(macs[:-1]),
        total_macs=macs[-1],
        parameters=tuple(parameters[:-1]),
        total_parameters=count_parameters(backbone.module),
        uncounted=tuple(uncounted),
        messages=message_counts(backbone.module, sample, chain.names),
    )
    if latency is None:
        return profile
    runtime = runtime or TorchRuntime()
    identity = [
        backbone.known_as or backbone.digest,
        list(sample.shape),
        profile.to_table(),
        runtime.conditions(device, latency),
    ]
    key = f"latency/backbone/{backbone.name}/{specs.digest(identity)}"

    def timed() -> dict[str, Any]:
        times = runtime.time_backbone(backbone, chain, device, latency)
        return {
            "latency_ms": [prefix.to_table() for prefix in times.prefixes],
            "total_latency": times.whole.to_table(),
            "plain_latency": times.plain.to_table(),
            "decision": times.decision.to_table(),
            "joints": None if times.joints is None else specs.to_table(times.joints),
        }

    cache = MemoryCache() if cache is None else cache
    return Profile.from_table({**profile.to_table(), **cache.once(key, "measuring the backbone", timed)})


def measure_branch(
    branch: Branch,
    shape: FeatureShape,
    num_classes: int,
    *,
    device: torch.device,
    latency: LatencySpec | None,
    cache: MeasurementCache | None = None,
    runtime: Runtime | None = None,
) -> BranchCost:
    """Measure one branch alone on features of `shape`. With `latency` it is timed on `device` in `runtime`.

    `cache` holds counts by structure, shape and classes, and latencies also by device, runtime and conditions. The
    random state is unchanged. Raises BranchError if the branch does not fit there or a user's branch returns
    no finite logits of the right shape, and MeasurementError if it cannot be measured.
    """
    identity = [__version__, branch, source_of(branch), shape, num_classes, _counter_version()]
    cost_key = f"macs/branch/{branch.label()}/{specs.digest(identity)}"
    cost = cache.get(cost_key) if cache is not None else None
    if cost is None:
        module, features = branch_to_time(branch, shape, num_classes)
        cost = {"macs": count_macs(module, shape), "parameters": count_parameters(module)}
        if source_of(branch):
            with seeded(0):
                check_logits(branch, module, features, num_classes)
        if cache is not None:
            cost = cache.put(cost_key, cost)
    timed = None
    if latency is not None:
        runtime = runtime or TorchRuntime()
        time_key = f"latency/branch/{branch.label()}/{specs.digest([*identity, runtime.conditions(device, latency)])}"
        timed = cache.get(time_key) if cache is not None else None
        if timed is None:
            timed = runtime.time_branch(branch, shape, num_classes, device, latency).to_table()
            if cache is not None:
                timed = cache.put(time_key, timed)
    found = Latency.from_table(timed) if timed is not None else None
    with bounds.damage_as(MeasurementError, f"the measurement of {branch.label()}", "measure it again (--remeasure)"):
        return BranchCost(macs=int(cost["macs"]), parameters=int(cost["parameters"]), latency=found)


@functools.cache
def _counter_version() -> str:
    """Return the version of ptflops. It is asked for with every branch, and looking it up reads a file."""
    return importlib.metadata.version("ptflops")


def source_of(branch: Branch) -> str:
    """Return a text for the code of a family: empty for eenas's own, the hash of its file for a user's."""
    if isinstance(branch, Cascade):
        return source_of(branch.branch)
    if FAMILIES.get(branch.kind) is type(branch):
        return ""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(branch))).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return type(branch).__qualname__
