"""The latencies of a study: measured here in torch or onnxruntime, or looked up in a latency profile."""

from dataclasses import replace

import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.designs.design import Design
from eenas.designs.drawable import drawable_branches
from eenas.designs.proposal import Proposal
from eenas.designs.repair import BranchMacs
from eenas.designs.space import Space
from eenas.errors import InfeasibleError, MeasurementError
from eenas.faults import machine_fault
from eenas.measurement.checked import CheckedRuntime
from eenas.measurement.latency import LatencySpec
from eenas.measurement.latency_profile import LatencyProfile
from eenas.measurement.profile import Profile, profile_backbone
from eenas.measurement.runtime import Runtime
from eenas.programs.programs import has_onnx
from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.latency_requests import LatencyRequests
from eenas.records.measurements import DatabaseCache
from eenas.records.studies import StudyRecord
from eenas.study.context.runtimes import runtime_named
from eenas.study.one_node import OneNode
from eenas.study.settings.study_spec import StudySpec

_STATED = ("runtime", "batch", "threads", "dtype")


def resolved(spec: LatencySpec, device: torch.device) -> LatencySpec:
    """Return `spec` with the runtime of "auto" on `device`, the one in which a user will run the network.

    It is onnxruntime on a CPU in float32 if the extra `onnx` is installed, else eager torch.
    """
    if spec.runtime != "auto":
        return spec
    exports = device.type == "cpu" and spec.dtype == "float32"
    return replace(spec, runtime="onnxruntime" if exports and has_onnx() else "torch")


def profiled(
    spec: LatencySpec,
    backbone: Backbone,
    chain: Chain,
    *,
    device: torch.device,
    cache: DatabaseCache,
    latencies: LatencyProfile | None,
    listener: Listener,
) -> tuple[LatencySpec, Runtime, Profile]:
    """Return the spec with the runtime in use, the runtime that times branches, and the profile of a backbone.

    If "auto" is onnxruntime and the backbone cannot be exported, eager torch is used, and `listener` receives a notice.

    Raises MeasurementError, ExportError and DeviceError.
    """
    known = resolved(spec, device)
    runtime = latencies or runtime_for(known, device, backbone)
    try:
        profile = profile_backbone(backbone, chain, device=device, latency=known, cache=cache, runtime=runtime)
    except MeasurementError as error:
        if spec.runtime != "auto" or known.runtime == "torch" or machine_fault(error) is not None:
            raise
        listener(Notice(f"latency: {error}; latencies are measured in eager torch instead"))
        return profiled(
            replace(spec, runtime="torch"), backbone, chain,
            device=device, cache=cache, latencies=latencies, listener=listener,
        )  # fmt: skip
    if latencies is not None:
        return known, latencies, profile
    node = "" if profile.total_latency is None else profile.total_latency.node
    requests = LatencyRequests(cache.database, node)
    return known, OneNode(CheckedRuntime(runtime, profile, listener), node, requests, listener), profile


def serve(runtime: Runtime, device: torch.device, spec: LatencySpec) -> None:
    """Answer the requests of workers on other nodes for latencies, if this node measures those of the study."""
    if isinstance(runtime, OneNode):
        runtime.serve(device, spec)


def runtime_for(spec: LatencySpec, device: torch.device, backbone: Backbone) -> Runtime:
    """Return the runtime that `spec` names for a backbone.

    Raises ExportError without the extra `onnx`, and DeviceError.
    """
    return runtime_named(resolved(spec, device).runtime, backbone, device)


def spec_of(spec: LatencySpec, profile: LatencyProfile) -> LatencySpec:
    """Return the latency spec of a study with a latency profile: that of the profile.

    Raises MeasurementError if the study states other conditions.
    """
    for name in _STATED:
        here, there, default = (getattr(each, name) for each in (spec, profile.spec, LatencySpec()))
        if here not in (default, there) and not (name == "threads" and (here, there) == (1, None)):
            raise MeasurementError(
                f"{profile.file}: was measured with latency.{name} = {there!r}, but the study states {here!r}; "
                f"leave latency.{name} out, or take the profile with it"
            )
    return profile.spec


def check_timed(space: Space, profile: Profile, branch_macs: BranchMacs, latencies: LatencyProfile) -> None:
    """Raise MeasurementError if the space can place branches that are not in the latency profile."""

    def macs(branch: Branch, shape: FeatureShape) -> int:
        known = latencies.macs(branch, shape)
        return branch_macs(branch, shape) if known is None else known

    wanted = drawable_branches(space, profile, macs)
    lacking = [pair for pair in wanted if latencies.find(*pair) is None]
    if lacking:
        branch, shape = lacking[0]
        raise MeasurementError(
            f"{latencies.file}: lacks {len(lacking)} of the {len(wanted)} branches that this search space can place, "
            f"such as {branch.label()} at features {list(shape.dims)}; repeat `eenas profile` with this space and the "
            "same --out to add them, or narrow the space (--set space.branch.structure=[...])"
        )


def refuse_cells(proposal: Proposal, space: Space, latencies: LatencyProfile | None) -> None:
    """Raise InfeasibleError, before any training, for a proposal of a branch that cannot be in a latency profile."""
    if latencies is None:
        return
    for slot in range(1, space.branches + 1):
        drawn = space.value(proposal, f"slot{slot}.on") and space.value(proposal, f"slot{slot}.structure")
        if drawn == "learned_cell":
            raise InfeasibleError(
                f"slot {slot}: learned_cell creates a branch that is not in {latencies.file}; a study with a latency "
                "profile cannot use it"
            )


def refuse_untimed(design: Design, profile: Profile, latencies: LatencyProfile | None) -> None:
    """Raise InfeasibleError if a latency profile lacks a branch of `design`, such as one from a structure search."""
    if latencies is None:
        return
    for placed in design.branches:
        shape = profile.cut_points[profile.index(placed.cut_point)].shape
        if latencies.find(placed.branch, shape) is None:
            raise InfeasibleError(f"{latencies.file} has no latency of {placed.branch.label()} at {placed.cut_point}")


def keep_latencies(cache: DatabaseCache, latencies: LatencyProfile | None) -> None:
    """Store a profile in the study's database for later training."""
    if latencies is not None and cache.get(_key(latencies.digest)) is None:
        cache.put(_key(latencies.digest), latencies.to_table())


def kept_latencies(database: Database, record: StudyRecord) -> LatencyProfile | None:
    """Return the latency profile with which a study was searched, or None if it measured itself.

    Raises MeasurementError.
    """
    digest = record.identity.get("latency_profile")
    if digest is None:
        return None
    table = DatabaseCache(database).get(_key(digest))
    return LatencyProfile.from_table(table, file=f"the latency profile of {record.name!r}")


def _key(digest: str) -> str:
    return f"latency_profile/{digest}"


def with_spec(settings: StudySpec, latencies: LatencyProfile | None) -> StudySpec:
    """Return a study's settings with the latency table of its profile."""
    return settings if latencies is None else replace(settings, latency=spec_of(settings.latency, latencies))
