"""The latency profile: latencies taken on one machine, in a file, for a study on another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from eenas import __version__, bounds, specs
from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.errors import EenasError, MeasurementError, SpecError
from eenas.files import write_text
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.profile import Profile, source_of
from eenas.measurement.runtime import BackboneTimes

FORMAT = 1
_KIND = "eenas latency profile"


@dataclass(frozen=True, kw_only=True)
class TimedBranch:
    """A branch alone on features of one shape: MACs of one sample, and its latency (None: not timed yet)."""

    macs: int
    latency: Latency | None


@dataclass(frozen=True, kw_only=True, eq=False)
class LatencyProfile:
    """A `Runtime` that looks up latencies: those of a backbone's profile, and of branches by structure and shape.

    `input_shape` is (C, H, W) of a sample. The keys of `branches` are from `branch_key`. `cascade_ms` is the additional
    time of a branch that reads the logits of the exit before it; a cascade takes this and the time of the branch
    inside. `file` is for messages.
    """

    profile: Profile
    input_shape: tuple[int, ...]
    num_classes: int
    spec: LatencySpec
    conditions_there: Sequence[Any]
    branches: Mapping[str, TimedBranch]
    cascade_ms: float
    file: str = field(default="the latency profile")

    @property
    def whole(self) -> Latency:
        """The latency of the whole backbone as one program, with the conditions of all measurements."""
        assert self.profile.total_latency is not None
        return self.profile.total_latency

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of its whole content."""
        return specs.digest(self.to_table())

    def find(self, branch: Branch, shape: FeatureShape) -> Latency | None:
        """Return the latency of a branch on features of `shape`, None if it was not timed."""
        if isinstance(branch, Cascade):
            inside = self.find(branch.branch, shape)
            return None if inside is None else _longer(inside, self.cascade_ms)
        found = self.branches.get(branch_key(branch, shape))
        return None if found is None else found.latency

    def macs(self, branch: Branch, shape: FeatureShape) -> int | None:
        """Return the MACs of a branch, None if they were not counted."""
        found = self.branches.get(branch_key(branch, shape))
        return None if found is None else found.macs

    def difference(self, profile: Profile, input_shape: Sequence[int], num_classes: int) -> str:
        """Name the first thing that differs from a profile counted here; empty if all match.

        Backbone, cut points and MACs are compared with those of `profile`, and the input shape and the number of
        classes with the arguments. Further cut points of this profile are no difference.
        """
        known = {point.name: macs for point, macs in zip(self.profile.cut_points, self.profile.macs, strict=True)}
        pairs: list[tuple[str, object, object]] = [
            ("the backbone", self.profile.backbone, profile.backbone),
            ("the input shape", list(self.input_shape), list(input_shape)),
            ("the number of classes", self.num_classes, num_classes),
        ]
        for point, macs in zip(profile.cut_points, profile.macs, strict=True):
            pairs.append((f"MACs up to {point.name!r}", known.get(point.name, "no such cut point"), macs))
        pairs.append(("MACs", self.profile.total_macs, profile.total_macs))
        other = (f"{name}: {there} in the profile, {here} here" for name, there, here in pairs if there != here)
        return next(other, "")

    def check(self, profile: Profile, input_shape: Sequence[int], num_classes: int) -> None:
        """Raise MeasurementError if anything differs from the study; see `difference`."""
        if other := self.difference(profile, input_shape, num_classes):
            raise MeasurementError(
                f"{self.file}: a latency profile must match the study; {other}; profile this backbone with "
                "`eenas profile` and the same backbone.cut_points, or search the profiled one"
            )

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`. The digest covers all of them."""
        return ["latency profile", self.digest]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`. Latencies are looked up for the cut points of `chain`."""
        there = self.profile
        kept = [there.index(name) for name in chain.names]
        assert there.plain_latency is not None
        assert there.decision is not None
        joints = there.joints
        return BackboneTimes(
            prefixes=tuple(there.latency_ms[index] for index in kept),
            whole=self.whole,
            plain=there.plain_latency,
            decision=there.decision,
            joints=None if joints is None else joints.at(kept),
        )

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`. The latency is looked up. Raises MeasurementError if the branch was not timed."""
        if (found := self.find(branch, shape)) is not None:
            return found
        raise MeasurementError(
            f"{self.file}: the profile has no latency of {branch.label()} at features {list(shape.dims)}; rerun `eenas "
            "profile` with this search space and the same --out, which adds it, or remove it from the space"
        )

    def to_table(self) -> dict[str, Any]:
        """Return the profile as JSON data without `file`; `from_table` is the inverse."""
        return {
            "kind": _KIND,
            "format": FORMAT,
            "eenas": __version__,
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "latency": specs.to_table(self.spec),
            "conditions": list(self.conditions_there),
            "profile": self.profile.to_table(),
            "cascade_ms": self.cascade_ms,
            "branches": {
                key: {"macs": each.macs, "latency": None if each.latency is None else each.latency.to_table()}
                for key, each in self.branches.items()
            },
        }

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        text = json.dumps(self.to_table(), indent=1) + "\n"
        write_text(path, text)

    @classmethod
    def from_table(cls, table: Any, *, file: str) -> "LatencyProfile":
        """Read the result of `to_table`. Raises MeasurementError for anything else and for a newer format."""
        fix = "write it again with `eenas profile`"
        if not isinstance(table, Mapping) or table.get("kind") != _KIND:
            raise MeasurementError(f"{file}: not a latency profile of eenas; {fix}")
        if table.get("format") != FORMAT:
            raise MeasurementError(f"{file}: this eenas reads format {FORMAT}, got {table.get('format')}; {fix}")
        try:
            given = specs.read_fields(_ProfileTable, table)
        except EenasError as error:
            raise MeasurementError(f"{file}: damaged ({error}); {fix}") from None
        found = cls(
            profile=given.profile,
            input_shape=given.input_shape,
            num_classes=given.num_classes,
            spec=given.latency,
            conditions_there=given.conditions,
            branches=given.branches,
            cascade_ms=given.cascade_ms,
            file=file,
        )
        points, joints = len(found.profile.cut_points), found.profile.joints
        parts = (found.profile.total_latency, found.profile.plain_latency, found.profile.decision)
        if None in parts or len(found.profile.latency_ms) != points or (joints and len(joints.cut_ms) != points):
            raise MeasurementError(f"{file}: damaged (not every cut point has a time); {fix}")
        return found


@dataclass(frozen=True, kw_only=True)
class _ProfileTable:
    """The file of a latency profile."""

    kind: str
    format: int
    eenas: str = ""
    input_shape: tuple[int, ...]
    num_classes: int
    latency: LatencySpec
    conditions: tuple[Any, ...]
    profile: Profile
    cascade_ms: float
    branches: dict[str, TimedBranch]


def read_latency_profile(path: str | Path) -> LatencyProfile:
    """Read a profile from a file. Raises MeasurementError if it is missing, damaged or newer."""
    try:
        table = bounds.read_json(path)
    except SpecError as error:
        raise MeasurementError(f"{error}; give a file that `eenas profile` wrote") from None
    return LatencyProfile.from_table(table, file=str(path))


def branch_key(branch: Branch, shape: FeatureShape) -> str:
    """Return the key of a branch: its structure (with the source of a user's own family) and its feature shape."""
    return f"{branch.label()} at {list(shape.dims)}: {specs.digest([branch, source_of(branch), shape])}"


def _longer(latency: Latency, by_ms: float) -> Latency:
    table = latency.to_table()
    return Latency(**{**table, "median_ms": latency.median_ms + by_ms, "p95_ms": latency.p95_ms + by_ms})
