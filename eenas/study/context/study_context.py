"""The study context: task, prepared backbone, profile, device and storage, shared by all trials of a study."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from optuna.samplers import BaseSampler

from eenas.backbones.chain import Chain
from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.branch import Branch
from eenas.designs.design import Design
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.space import fitted_space
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.latency import device_name, resolve_device
from eenas.measurement.latency_profile import LatencyProfile
from eenas.measurement.profile import BranchCost, Profile, measure_branch, profile_backbone
from eenas.measurement.runtime import Runtime
from eenas.networks.assembly import build_network
from eenas.networks.backbone_facts import BackboneFacts
from eenas.networks.exit_costs import ExitCosts, exit_costs
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.networks.tiered_costs import StudyTiers
from eenas.policies.costs import ALONE, LATENCY, MACS, Costs, CostValues
from eenas.policies.exit_table import ExitTable
from eenas.policies.proportions import largest_share
from eenas.progress import Finished, Listener, Notice, Started
from eenas.records.artifacts import ArtifactStore, check_storage
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.leases import Leases
from eenas.records.measurements import DatabaseCache
from eenas.seeding import derive, seeded
from eenas.specs import to_table
from eenas.study.context.backbone.fresh_weights import is_fresh, structure_digest
from eenas.study.context.costs import check_limits, taken_costs
from eenas.study.context.first_look import FirstLook
from eenas.study.context.held_out import held_out_of
from eenas.study.context.latencies import check_timed, keep_latencies, profiled, with_spec
from eenas.study.context.runtimes import load_study_code
from eenas.study.context.study_inputs import fitted_to, inputs_of, size_key
from eenas.study.context.tiers import design_without_branches, taken_tiers, timed_elsewhere
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import StudySpec
from eenas.study.settings.time_limit import TimeLimit
from eenas.tasks.load import load_task, with_distortions
from eenas.tasks.sample_check import check_samples, left_out_notice
from eenas.tasks.task import Task
from eenas.training.distillation import KeptAnswers
from eenas.training.execution import Execution, choose_execution


@dataclass(frozen=True)
class StudyContext:
    """The read-only context that all trials of a study share."""

    settings: StudySpec
    task: Task
    backbone: Backbone
    profile: Profile
    device: torch.device
    execution: Execution
    database: Database
    artifacts: ArtifactStore
    cache: DatabaseCache
    identity_backbone: str
    listener: Listener
    runtime: Runtime
    look: FirstLook
    latencies: LatencyProfile | None = None
    plain: dict[str, ExitTable] = field(default_factory=dict)
    counted: dict[tuple[Branch, FeatureShape], int] = field(default_factory=dict)
    own_costs: tuple[OwnCost, ...] = ()
    """The study's costs besides MACs and latency, evaluated on its backbone."""
    tiers: StudyTiers | None = None
    taught: KeptAnswers = field(default_factory=KeptAnswers)
    warnings: tuple[str, ...] = ()
    limit: TimeLimit = field(default_factory=TimeLimit)
    sampler: BaseSampler | None = None
    """A sampler of the user, which replaces the one in the settings."""
    is_fresh: bool = False
    """Whether the initial weights are redrawn each time and trained anyway, so they are not in the identity."""

    @property
    def device_text(self) -> str:
        """The full name of the device, as in messages and measurements."""
        return device_name(self.device)

    @property
    def leases(self) -> Leases:
        """The leases under which workers create shared results."""
        return Leases(self.database, self.listener, while_waiting=self.limit.check)

    @property
    def in_flight(self) -> InFlight:
        """The records of the running trials."""
        return InFlight(self.artifacts.objects)

    @property
    def profiled_backbone(self) -> ProfiledBackbone:
        """The backbone as designs see it."""
        backbone, inputs = self.backbone, self.backbone.transform.inputs
        return ProfiledBackbone(
            profile=self.profile, num_classes=backbone.num_classes, inputs=inputs, branch_macs=self.branch_macs
        )

    def branch_macs(self, branch: Branch, shape: FeatureShape) -> int:
        """Return the MACs of one branch at a feature of this shape, counted once and cached."""
        if (branch, shape) not in self.counted:
            self.counted[branch, shape] = self._measure(branch, shape, with_latency=False).macs
        return self.counted[branch, shape]

    def costs(self, design: Design) -> ExitCosts:
        """Return the costs of reaching each exit of `design` on this study's device."""
        shapes = {point.name: point.shape for point in self.profile.cut_points}
        branches = [self._measure(p.branch, shapes[p.cut_point], with_latency=True) for p in design.branches]
        return exit_costs(design, self.profile, branches, self.own_costs, self.tiers)

    def build(self, design: Design) -> EarlyExitNetwork:
        """Return the network of `design` on the prepared backbone, on this study's device."""
        network = build_network(design, self.backbone, seed=self.settings.seed, classes=self.task.classes)
        return network.to(self.device)

    def plain_design(self) -> Design:
        """Return the design of the backbone without branches."""
        return design_without_branches(self.backbone)

    def plain_table(self, split: str) -> ExitTable:
        """Return the exit table of the plain prepared backbone, computed once for each split."""
        if split not in self.plain:
            design = self.plain_design()
            self.plain[split] = exit_table(self.build(design), self.task.split(split), self.costs(design))
        return self.plain[split]

    def plain_costs(self) -> Costs:
        """Return the costs of the plain backbone, with its latency as one uncut model."""
        latency = self.profile.plain_ms
        return self.costs(self.plain_design()).costs.replacing(LATENCY, None if latency is None else [latency])

    def backbone_facts(self) -> BackboneFacts:
        """Return the accuracy of the plain backbone on the validation split, and its costs."""
        return BackboneFacts(
            name=self.backbone.name,
            weights=self.backbone.weights,
            accuracy=self.plain_table("validation").exit_accuracy()[-1],
            parameters=self.profile.total_parameters,
            costs=CostValues({**self.plain_costs().under_best(ALONE).of_exit(0), MACS: self.profile.total_macs}),
        )

    def facts_table(self, folder: Path | None) -> dict[str, Any]:
        """Return the facts for a study's record: device, classes, the plain backbone's results, and so on."""
        table = self.plain_table("validation")
        return {
            "backbone": to_table(self.backbone_facts()),
            "task": self.task.name,
            "classes": list(self.task.classes),
            "device": self.device_text,
            "execution": str(self.execution),
            "profile": to_table(self.profile),
            "costs": to_table(self.plain_costs().under_best(ALONE).facts),
            "latency_profile": None if self.latencies is None else self.latencies.file,
            "folder": str((folder or Path.cwd()).resolve()),
            "validation_samples": len(table),
            "largest_class": largest_share(table.labels),
            "weights": None if table.weights is None else table.weights.tolist(),
            "warnings": list(self.warnings),
            "left_out": list(self.task.left_out),
        }

    def _measure(self, branch: Branch, shape: FeatureShape, *, with_latency: bool) -> BranchCost:
        classes, latency = self.backbone.num_classes, self.settings.latency if with_latency else None
        return measure_branch(
            branch, shape, classes, device=self.device, latency=latency, cache=self.cache, runtime=self.runtime
        )


def make_context(
    settings: StudySpec,
    study: StudyReference,
    *,
    device: str,
    folder: Path | None = None,
    remeasure: bool = False,
    latencies: LatencyProfile | None = None,
    limit: TimeLimit | None = None,
) -> StudyContext:
    """Return the context of a study's trials: load, check and measure everything that they share.

    All errors in the settings are found here; training starts only in `prepare_backbone`. Backbone and task of `study`
    replace those of the settings (use from Python). `folder` is the base of `./file.py` in the settings. `remeasure`
    repeats the measurements of MACs, latency and execution. With `latencies`, only the execution is timed.

    Raises TimeOverError, after a measurement is stored, if `limit` is over.
    """
    limit = limit or TimeLimit()
    listener = limit.hearing(study.listener)
    module, task, trust_code = study.backbone, study.task, study.trust_code
    check_storage(study.storage, study.artifacts)
    where = resolve_device(device)
    settings = with_spec(settings, latencies)
    load_study_code(settings, trust_code=trust_code, relative_to=folder)
    if task is None:
        pristine = replace(settings.task, distortions=None)
        task = load_task(pristine, trust_code=trust_code, relative_to=folder, listener=listener)
    for text in task.notices:
        listener(Notice(text))
    if task.left_out:
        listener(Notice(f"{left_out_notice(task.left_out)} (the list is stored with the study)"))
        settings = replace(settings, task=replace(settings.task, without=task.left_out))
    with seeded(derive(settings.seed, "backbone")):  # initial weights that are not loaded
        backbone = load_backbone(
            settings.backbone if module is None else module,
            num_classes=task.num_classes,
            inputs=inputs_of(task, settings.task.input_size),
            trust_code=trust_code,
            relative_to=folder,
            listener=listener,
        )
    backbone = fitted_to(backbone, task, listener)
    check_samples(task, backbone.transform.inputs, listener)
    look = FirstLook(backbone, task.train, where, derive(settings.seed, "first look"))
    task, held_out = held_out_of(look, task, settings.task.held_out, listener)
    settings = replace(settings, task=replace(settings.task, held_out=held_out))
    if task.distortions is None:
        task = with_distortions(task, settings.task.distortions, folder)
    task = task.counted(balanced=settings.search.accuracy == "balanced").trained_distorted()
    fresh = settings.prepare.when != "never" and backbone.weights == "own" and not look.is_above_chance
    fresh = fresh and is_fresh(backbone.module)
    identity = structure_digest(backbone) if fresh else backbone.digest
    backbone = replace(backbone, known_as=identity)
    names = [point.name for point in backbone.cut_points]
    module_there = copy_of(backbone.module, device=where)
    chain = Chain.built_from(evaluated(module_there), backbone.example().to(where), names)
    if latencies is not None:
        counted = profile_backbone(backbone, chain, device=where, latency=None)
        latencies.check(counted, tuple(backbone.example().shape[1:]), task.num_classes)
    store = ArtifactStore.beside(study.storage, study.artifacts, trust_code=trust_code)
    database = Database(study.storage)  # after the store, which may be unusable
    leases = Leases(database, listener, while_waiting=limit.check)
    cache = DatabaseCache(database, remeasure=remeasure, leases=leases, after_put=limit.check)
    listener(Started("measuring the backbone"))
    latency, runtime, profile = profiled(
        settings.latency, backbone, chain, device=where, cache=cache, latencies=latencies, listener=listener
    )
    space = fitted_space(settings.space, profile)
    if space is not settings.space:
        slots = f"{space.branches} branch slot{'s' if space.branches > 1 else ''} instead of {settings.space.branches}"
        listener(Notice(f"the space has {slots}: {backbone.name} has no more cut points with work behind them"))
    settings = replace(settings, latency=latency, space=space)
    if profile.uncounted:
        left = ", ".join(profile.uncounted)
        listener(Notice(f"the MACs of {backbone.name} leave out {left}: their operations cannot be counted"))
    settings, own_costs = taken_costs(settings, profile, trust_code=trust_code, folder=folder)
    tiers = taken_tiers(settings, profile, backbone, folder)
    check_limits(settings, profile, own_costs, tiers, listener)
    listener(Finished("measuring the backbone", f"{profile.total_macs / 1e6:,.1f} M MACs"))
    example = backbone.example(min(settings.training.batch_for(len(task.train)), 64)).to(where)
    key = f"{device_name(where)}/{identity}/{size_key(backbone.transform)}/torch {torch.__version__}"
    chosen = choose_execution(module_there, example, settings.training, cache=cache, key=key)
    execution = chosen.within(backbone.memory_format)
    if execution != chosen:
        listener(Notice(f"training.channels_last is ignored: {backbone.name} does not support it"))
    context = StudyContext(
        settings,
        task,
        backbone,
        profile,
        where,
        execution,
        database,
        store,
        cache,
        identity,
        listener,
        runtime,
        look,
        latencies,
        own_costs=own_costs,
        tiers=tiers,
        limit=limit,
        is_fresh=fresh,
    )
    for each in timed_elsewhere(latencies, tiers):
        check_timed(settings.space, profile, context.branch_macs, each)
    if latencies is not None:
        keep_latencies(cache, latencies)
    return context
