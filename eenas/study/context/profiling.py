"""Taking a latency profile: timing a backbone and the branches that a search space can place, on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.models.taken_inputs import inputs_at
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.branches.pool_fc import PoolFc
from eenas.designs.drawable import drawable_branches
from eenas.designs.space import fitted_space
from eenas.errors import BranchError, MeasurementError
from eenas.measurement.checked import CheckedRuntime
from eenas.measurement.latency import LatencySpec, resolve_device
from eenas.measurement.latency_profile import LatencyProfile, TimedBranch, branch_key, read_latency_profile
from eenas.measurement.profile import MemoryCache, Profile, measure_branch, profile_backbone
from eenas.measurement.runtime import Runtime
from eenas.progress import Advanced, Finished, Listener, Notice, Started, silent
from eenas.specs import check_options, to_table
from eenas.study.context.latencies import resolved, runtime_for
from eenas.study.context.runtimes import load_study_code
from eenas.study.context.study_inputs import inputs_of
from eenas.study.settings.study_spec import StudySpec, load_settings
from eenas.tasks.images.frame import Size
from eenas.tasks.load import load_task
from eenas.training.pace import Pace

PHASE = "timing branches"


@dataclass(frozen=True)
class Taken:
    """A latency profile as in its file. `lacking` of the `wanted` branches of the space are not timed yet."""

    profile: LatencyProfile
    wanted: int
    lacking: int


class ProfileOptions(TypedDict, total=False):
    """The keyword options of `profile`.

    `classes`, `size` and `channels` (default 3) replace a task whose data are not on this machine. `space` and
    `overrides` are those of `search`. `trust_code` allows running Python code that is named, and `listener` receives
    events.
    """

    classes: int | None
    size: Size | None
    channels: int | None
    space: str | Path | None
    overrides: Sequence[str]
    trust_code: bool
    listener: Listener


def profile(
    backbone: str | None = None,
    *,
    out: str | Path,
    task: str | None = None,
    study: str | Path | StudySpec | None = None,
    device: str = "auto",
    seconds: float = 1200.0,
    **options: Unpack[ProfileOptions],
) -> Taken:
    """Time a backbone cut at its candidate cut points, and every branch that the space can place there, on `device`.

    Settings are those of `search`: the backbone, the space, `[latency]`, and the classes and input size of the task
    count. Weights are irrelevant. `options` are those of `ProfileOptions`. The profile is written to the file `out`; an
    existing profile of the same backbone under the same conditions is completed. No further branch is timed after
    `seconds`.

    Raises MeasurementError if `out` holds another profile.
    """
    check_options("profile", options, ProfileOptions)
    space, overrides = options.get("space"), options.get("overrides", ())
    trust_code, listener = options.get("trust_code", False), options.get("listener", silent)
    classes, size, channels = options.get("classes"), options.get("size"), options.get("channels")
    settings, folder = load_settings(study, backbone=backbone, task=task, space=space, overrides=overrides)
    where = resolve_device(device)
    load_study_code(settings, trust_code=trust_code, relative_to=folder)
    loaded = _load(settings, folder, classes, size, channels, trust_code=trust_code)
    settings = replace(settings, latency=resolved(settings.latency, where))
    runtime = runtime_for(settings.latency, where, loaded)
    listener(Started("timing the backbone"))
    names = [point.name for point in loaded.cut_points]
    chain = Chain.built_from(loaded.module, loaded.example(), names)
    counted = profile_backbone(loaded, chain, device=where, latency=None)
    path, begun = Path(out), time.monotonic()
    found = _existing(path, loaded, counted, settings.latency, runtime, where)
    if found is None:
        timed = profile_backbone(loaded, chain, device=where, latency=settings.latency, runtime=runtime)
        found = LatencyProfile(
            profile=timed,
            input_shape=tuple(loaded.example().shape[1:]),
            num_classes=loaded.num_classes,
            spec=settings.latency,
            conditions_there=runtime.conditions(where, settings.latency),
            branches={},
            cascade_ms=_cascade(runtime, timed, loaded.num_classes, where, settings.latency),
            file=str(path),
        )
        found.save(path)
    listener(Finished("timing the backbone", f"{found.whole.median_ms:.3g} ms"))
    checked = CheckedRuntime(runtime, found.profile, listener)
    return _with_branches(found, settings, checked, where, path, begun + seconds, listener)


def _with_branches(
    found: LatencyProfile,
    settings: StudySpec,
    runtime: Runtime,
    device: torch.device,
    path: Path,
    deadline: float,
    listener: Listener,
) -> Taken:
    """Return the profile with the branches of the space. It is saved during timing."""
    branches, cache = dict(found.branches), MemoryCache()

    def macs(branch: Branch, shape: FeatureShape) -> int:
        key = branch_key(branch, shape)
        if key not in branches:
            counted = measure_branch(branch, shape, found.num_classes, device=device, latency=None, cache=cache)
            branches[key] = TimedBranch(macs=counted.macs, latency=None)
        return branches[key].macs

    listener(Started("counting the branches of the space"))
    wanted = drawable_branches(fitted_space(settings.space, found.profile), found.profile, macs)
    for branch, shape in wanted:
        macs(branch, shape)
    listener(Finished("counting the branches of the space", f"{len(wanted)} branches"))
    listener(Started(PHASE, len(wanted)))
    lacking, pace = 0, Pace()
    for number, (branch, shape) in enumerate(wanted, start=1):
        key = branch_key(branch, shape)
        if branches[key].latency is None:
            if time.monotonic() > deadline:
                lacking += 1
                continue
            latency = runtime.time_branch(branch, shape, found.num_classes, device, settings.latency)
            branches[key] = replace(branches[key], latency=latency)
            if pace.is_due():
                pace.save(partial(replace(found, branches=branches).save, path))
        listener(Advanced(PHASE, number, f"{branch.label()} at {list(shape.dims)}"))
    found = replace(found, branches=branches)
    found.save(path)
    listener(Finished(PHASE))
    if lacking:
        listener(
            Notice(
                f"the time is over, but {lacking} of {len(wanted)} branches that a search needs are not timed; "
                "rerun the command to continue, or give more --seconds"
            )
        )
    return Taken(found, len(wanted), lacking)


def _load(
    settings: StudySpec,
    folder: Path | None,
    classes: int | None,
    size: Size | None,
    channels: int | None,
    *,
    trust_code: bool,
) -> Backbone:
    """Return the backbone for the given classes and samples, or for those of the task."""
    size = size or settings.task.input_size
    inputs = None
    if classes is None:
        task = load_task(settings.task, trust_code=trust_code, relative_to=folder)
        classes = task.num_classes
        inputs = inputs_of(task, size)
    if channels is not None:
        inputs = (inputs or inputs_at(settings.backbone.name, size)).with_size("channel", channels)
    return load_backbone(
        replace(settings.backbone, weights="none"),
        num_classes=classes,
        input_size=size,
        inputs=inputs,
        trust_code=trust_code,
        relative_to=folder,
    )


def _existing(
    path: Path, backbone: Backbone, counted: Profile, spec: LatencySpec, runtime: Runtime, device: torch.device
) -> LatencyProfile | None:
    """Return the profile in the file `path`, or None if there is no file.

    Raises MeasurementError if it is of another backbone or was measured under other conditions.
    """
    if not path.exists():
        return None
    found = read_latency_profile(path)
    if other := found.difference(counted, backbone.example().shape[1:], backbone.num_classes):
        raise MeasurementError(f"{path}: is the profile of another network ({other}); give another --out, or delete it")
    here, there = runtime.conditions(device, spec), list(found.conditions_there)
    if to_table(here) != there:
        pairs = zip(there, to_table(here), strict=False)
        before, now = next((pair for pair in pairs if pair[0] != pair[1]), (there, here))
        raise MeasurementError(
            f"{path}: was measured under other conditions ({before}, now {now}); give another --out or delete it"
        )
    return found


def _cascade(runtime: Runtime, profile: Profile, num_classes: int, device: torch.device, spec: LatencySpec) -> float:
    """Return the extra time in ms of a branch that reads earlier logits, for the smallest possible branch."""
    for point in reversed(profile.cut_points):
        branch = PoolFc(pool="avg", size=1)
        try:
            branch.check(point.shape)
        except BranchError:
            continue
        plain, more = (
            runtime.time_branch(each, point.shape, num_classes, device, spec).median_ms
            for each in (branch, Cascade(branch=branch))
        )
        return max(more - plain, 0.0)
    return 0.0
