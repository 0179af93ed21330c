"""A runtime that checks branch times against the backbone's profile before it returns them."""

from dataclasses import replace
from typing import Any

import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.macs import count_macs
from eenas.measurement.profile import Profile
from eenas.measurement.rounds import RETRIES
from eenas.measurement.runtime import BackboneTimes, Runtime, branch_to_time
from eenas.progress import Listener, Notice, silent

SLOW = 1.15
"""A period is slow if the plain backbone takes more than this many times its profiled latency."""


class CheckedRuntime:
    """A `Runtime` that wraps another one and the backbone profile measured by it.

    A branch is timed again, up to RETRIES times, if the plain backbone was slow in its rounds, too few of its runs were
    undisturbed, or it takes longer than the whole backbone with fewer MACs. A time that is still doubtful is corrected
    by the backbone's slowness, marked, and kept with its interval. The first one is reported to `listener`.
    """

    def __init__(self, runtime: Runtime, profile: Profile, listener: Listener = silent) -> None:
        self._runtime, self._profile, self._listener = runtime, profile, listener
        self._is_said = False
        doubtful = [each for each in _times(profile) if each.doubtful]
        if doubtful:
            self._say("the backbone", doubtful[-1])

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        return self._runtime.conditions(device, spec)

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        return self._runtime.time_backbone(backbone, chain, device, spec)

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`."""
        tries: list[Latency] = []
        for _ in range(RETRIES + 1):
            found = self._runtime.time_branch(branch, shape, num_classes, device, spec)
            is_dearer = self._is_dearer(found, branch, shape, num_classes)
            if not (found.doubtful or is_dearer or self._slowness(found) > SLOW):
                return found
            tries.append(found)
        best = min(tries, key=lambda each: each.median_ms / self._slowness(each))
        kept = _quicker(best, self._slowness(best))
        self._say(branch.label(), kept)
        return kept

    def _slowness(self, found: Latency) -> float:
        """Return the plain backbone's time in these rounds over its profiled time. 1 if it was faster or is unknown."""
        known = self._profile.plain_latency
        if known is None or found.reference_ms is None or known.median_ms <= 0:
            return 1.0
        return max(found.reference_ms / known.median_ms, 1.0)

    def _is_dearer(self, found: Latency, branch: Branch, shape: FeatureShape, num_classes: int) -> bool:
        """Whether the branch takes longer than the whole backbone with fewer MACs."""
        whole = self._profile.total_latency
        if whole is None or found.median_ms <= whole.median_ms:
            return False
        module, _ = branch_to_time(branch, shape, num_classes)
        return count_macs(module, shape) < self._profile.total_macs

    def _say(self, what: str, latency: Latency) -> None:
        if self._is_said:
            return
        self._is_said = True
        self._listener(
            Notice(
                f"latency: this machine is busy; {what} takes {latency.interval}, and parts that could not be timed "
                "undisturbed are marked as doubtful; rerun with --remeasure on an idle machine"
            )
        )


def _times(profile: Profile) -> list[Latency]:
    found = (*profile.latency_ms, profile.total_latency, profile.plain_latency, profile.decision)
    return [each for each in found if each is not None]


def _quicker(latency: Latency, times: float) -> Latency:
    """Return a doubtful latency corrected for a slow period. The interval reaches up to the measured value."""
    low = latency.median_ms if latency.low_ms is None else latency.low_ms
    high = latency.median_ms if latency.high_ms is None else latency.high_ms
    return replace(
        latency,
        median_ms=latency.median_ms / times,
        p95_ms=latency.p95_ms / times,
        low_ms=low / times,
        high_ms=high,
        doubtful=True,
    )
