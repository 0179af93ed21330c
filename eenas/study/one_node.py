"""Latency from one node: a study's measurements are all of the node that measured its backbone."""

import time
from typing import Any

import torch

from eenas import specs
from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.branch import Branch
from eenas.branches.registry import branch_from_table
from eenas.errors import EenasError, StudyError
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.node import NODE, node_name
from eenas.measurement.pauses import pause_point
from eenas.measurement.profile import source_of
from eenas.measurement.runtime import BackboneTimes, Runtime
from eenas.progress import Listener, Notice
from eenas.records.latency_requests import LatencyRequests

WITHIN = 300.0
"""The seconds that a worker waits for the measuring node to answer."""
POLL = 0.25
ANSWER_EVERY = 2.0
"""The least seconds between two looks for requests on the measuring node."""


class OneNode:
    """A `Runtime` that measures only on `node`, where the backbone was measured. Elsewhere it asks a worker there.

    Workers on `node` answer in `serve`, which a trial calls between batches. `requests` is the place of requests.
    """

    def __init__(self, runtime: Runtime, node: str, requests: LatencyRequests, listener: Listener) -> None:
        self._runtime, self._node, self._requests, self._listener = runtime, node, requests, listener
        self._here = node_name()
        self._next = 0.0
        if not self.is_here:
            listener(
                Notice(
                    f"latency is measured on the node {node!r}, and this is {self._here!r}: its measurements are used, "
                    f"and its workers time what is missing (set {NODE}={node} if it is the same machine)"
                )
            )

    @property
    def is_here(self) -> bool:
        """Whether this node measures. Studies of earlier versions do not name one."""
        return self._node in ("", self._here)

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        """See `Runtime.conditions`."""
        return self._runtime.conditions(device, spec)

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        """See `Runtime.time_backbone`."""
        return self._runtime.time_backbone(backbone, chain, device, spec)

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        """See `Runtime.time_branch`. Raises StudyError if no worker on the measuring node answers in time."""
        if self.is_here:
            return self._runtime.time_branch(branch, shape, num_classes, device, spec)
        request = {
            "branch": specs.to_table(branch),
            "source": source_of(branch),
            "shape": specs.to_table(shape),
            "classes": num_classes,
            "conditions": specs.digest(self.conditions(device, spec)),
        }
        identifier, deadline = self._requests.ask(request), time.monotonic() + WITHIN
        while (answer := self._requests.answer(identifier)) is None:
            pause_point()
            if time.monotonic() > deadline:
                self._requests.forget(identifier)
                raise StudyError(
                    f"latency is measured on the node {self._node!r}, which did not time {branch.label()} within "
                    f"{WITHIN:g} s; start a worker there, set {NODE}={self._node} if this is the same machine, or "
                    "search with --latency-profile"
                )
            time.sleep(POLL)
        if "error" in answer:
            self._requests.forget(identifier)
            raise StudyError(f"the node {self._node!r} cannot time {branch.label()}: {answer['error']}")
        return Latency.from_table(answer)

    def serve(self, device: torch.device, spec: LatencySpec) -> None:
        """Time the branches that workers on other nodes ask for, at most every ANSWER_EVERY seconds.

        Only workers under the same conditions are answered.
        """
        now = time.monotonic()
        if not self.is_here or now < self._next:
            return
        conditions = specs.digest(self.conditions(device, spec))
        for identifier, request in self._requests.open().items():
            if request.get("conditions") == conditions:
                self._requests.reply(identifier, self._answer(request, device, spec))
        self._next = time.monotonic() + ANSWER_EVERY

    def _answer(self, request: dict[str, Any], device: torch.device, spec: LatencySpec) -> dict[str, Any]:
        try:
            branch = branch_from_table(request["branch"])
            shape = specs.from_table(FeatureShape, request["shape"])
            if source_of(branch) != request["source"]:
                return {"error": f"the code of {branch.label()} differs there; give both nodes the same file"}
            with torch.inference_mode(mode=False):  # a trial may be reading its exit tables
                return self._runtime.time_branch(branch, shape, int(request["classes"]), device, spec).to_table()
        except (EenasError, KeyError, TypeError, ValueError) as error:
            return {"error": " ".join(str(error).split())}
