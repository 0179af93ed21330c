"""The decision whether a phase of training is compiled, by a measurement on a copy of the network."""

import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import first_line
from eenas.errors import TrainingError
from eenas.faults import is_device_failure
from eenas.networks.network import EarlyExitNetwork
from eenas.progress import notify
from eenas.training.batches import Batches
from eenas.training.distillation import BackboneTeacher
from eenas.training.process_group import ProcessGroup
from eenas.training.steps import MicroBatch, Steps, TrainingPlan
from eenas.training.strategies import Phase

SHORTEST = 30.0
"""The seconds of a phase below which the compiler is not tried."""


@dataclass(frozen=True)
class Compilation:
    """Whether the passes of a phase are compiled, and why."""

    used: bool
    why: str


@dataclass(frozen=True, eq=False)
class Compilable:
    """A phase that is about to start, on a network whose other parts are frozen already."""

    network: EarlyExitNetwork
    phase: Phase
    plan: TrainingPlan
    teacher: BackboneTeacher | None

    def is_compiled(
        self, known: MutableMapping[str, dict[str, Any]], name: str, batches: Batches, group: ProcessGroup
    ) -> bool:
        """Return whether the phase is compiled, as `known` says under `name`. A new decision is added to it."""
        if name not in known and (found := self.decide(batches, group)) is not None:
            known[name] = vars(found)
        return name in known and bool(known[name]["used"])

    def decide(self, batches: Batches, group: ProcessGroup) -> Compilation | None:
        """Return what `spec.compile` states, or for "auto" what process 0 measures. None without compilation.

        Raises TrainingError if a divided network must be compiled.
        """
        asked = self.plan.spec.compile
        if not asked:
            return None
        if group.sharded and asked is True:
            raise TrainingError("compile = true does not support a divided network; set compile to false")
        if asked is True:
            return Compilation(True, "compile = true")
        found = Compilation(False, "a divided network is not compiled")
        if not group.sharded:
            found = group.share(self._measured(batches) if group.rank == 0 else found)
        notify(f"{self.phase.name}: {'compiled' if found.used else 'not compiled'}, {found.why}")
        return found

    def _measured(self, batches: Batches) -> Compilation:
        """Time steps of the first micro-batch as they are and compiled, on copies of the network."""
        stream = batches.epoch(0)
        parts = [next(stream)]
        del stream  # ends its reader
        device = parts[0][0].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            _, eager = self._seconds(parts, compiled=False)
            spec = self.plan.spec
            if spec.seconds is not None:
                count = self.phase.share * spec.seconds / eager
            else:
                samples = spec.samples or (spec.epochs or 0.0) * batches.samples
                count = self.phase.share * samples / batches.batch_size * batches.parts
            if count * eager < SHORTEST:
                return Compilation(False, f"it takes about {count * eager:.0f} s, too short for the compiler")
            try:
                first, step = self._seconds(parts, compiled=True)
            except Exception as error:  # compilers raise errors of many kinds, and memory may not suffice for copies
                if is_device_failure(error):
                    raise
                return Compilation(False, first_line(error))
        used = first + count * step < count * eager
        words = f"a step takes {step:.3g} s compiled and {eager:.3g} s otherwise, compilation {first:.0f} s"
        return Compilation(used, f"{words}, for {count:,.0f} steps")

    def _seconds(self, parts: Sequence[MicroBatch], *, compiled: bool) -> tuple[float, float]:
        """Return the seconds of the first steps, one of each kind, and of the faster of two later steps."""
        steps = Steps(copy_of(self.network), self.phase, self.plan, ProcessGroup(), self.teacher, compiled=compiled)
        kinds, times = 1 + self.phase.alternate, []
        try:
            steps.begin()
            for _ in range(3):
                start = time.perf_counter()
                for _ in range(kinds):
                    steps.take(parts, 0.0).item()  # waits for the device
                times.append(time.perf_counter() - start)
        finally:
            steps.close()
        return times[0], min(times[1:]) / kinds
