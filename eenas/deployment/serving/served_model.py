"""An exported model as the server sees it: requests become jobs, and jobs become responses."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.serving.engine import Engine
from eenas.deployment.serving.job import Job
from eenas.deployment.serving.learned_requests import LearnedRequests
from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ModelMetrics
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.samples_input import SamplesInput, TensorFacts
from eenas.errors import EenasError, PolicyError
from eenas.escaping import shortened
from eenas.policies.controllers.observed_policy import ObservedPolicy
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.kinds.context_policy import ContextPolicy, policy_in
from eenas.policies.policy import Policy
from eenas.programs.experts.routing import RoutedPrediction
from eenas.programs.manifest import MANIFEST, Manifest, read_manifest
from eenas.programs.prediction import Prediction
from eenas.programs.remote.cloud_part import CONTEXT_PARAMETER, MODEL_IDENTITY, SPLIT_PARAMETER
from eenas.programs.remote.open_inference import InferenceRequest, InferenceResponse
from eenas.programs.runtime import ExportedModel

VERSION = "1"
"""The version of every model."""

TIMEOUT_PARAMETER = "timeout"
"""The parameter of a request with the microseconds after which its answer is not needed any more."""


ManifestStamp = tuple[int, int, int]
"""The time, the size and the file of a manifest, which change when it is written."""


class ServedModel:
    """A `model` under a `name`, with the engine that runs it in so many `workers`.

    Answers are those of `model.predict`, sample by sample. `reload` takes the policy on disk. Every request keeps the
    policy with which it started. `stamp` is that of the manifest before it was read.
    """

    def __init__(
        self,
        name: str,
        model: ExportedModel,
        taken: SamplesInput,
        limits: ServingLimits,
        metrics: ModelMetrics,
        *,
        workers: int = 1,
        stamp: ManifestStamp | None = None,
    ) -> None:
        self.name, self.model, self._input, self._limits, self.metrics = name, model, taken, limits, metrics
        self.stamp = stamp
        self._learned, self._changing = LearnedRequests(), threading.Lock()
        if model.policy is None:
            raise PolicyError(f"{name}: was exported without a policy; train it, or fit thresholds and export it again")
        self._identity = model.manifest.identity
        self.engine = Engine(taken.segments(model), metrics, batch=limits.batch, queue=limits.queue, workers=workers)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the protocol, with the identity and the exits of the model as parameters."""
        classes = len(self.model.classes)
        outputs = [
            TensorFacts("classes", "INT64", (-1,)),
            TensorFacts("exits", "INT64", (-1,)),
            TensorFacts("logits", "FP32", (-1, classes)),
            TensorFacts("confidences", "FP32", (-1,)),
        ]
        if self.model.manifest.experts is not None:
            outputs.append(TensorFacts("experts", "INT64", (-1,)))
        return {
            "name": self.name,
            "versions": [VERSION],
            "platform": "eenas",
            "inputs": [each.to_table() for each in self._input.facts(self.model)],
            "outputs": [each.to_table() for each in outputs],
            "parameters": {
                MODEL_IDENTITY: self._identity,
                SPLIT_PARAMETER: self._input.cut,
                "exits": list(self.model.exits),
                "max_batch": self._limits.samples,
            },
        }

    def job(self, request: InferenceRequest) -> Job:
        """Return the job of a request. Its arrays are checked and transformed here, in any thread.

        Raises Refusal for a request that the model cannot answer.
        """
        now = time.monotonic()
        self._check_parameters(request)
        unknown = [name for name in request.outputs if name not in self._output_names]
        if unknown:
            known = ", ".join(self._output_names)
            raise Refusal("malformed", f"there is no output {shortened(unknown[0])}; outputs are {known}")
        for name, array in request.inputs.items():
            if array.ndim and len(array) > self._limits.samples:
                text = f"{name} has {len(array):,} samples, a request at most {self._limits.samples:,}; send several"
                raise Refusal("too_large", text)
        try:
            with self._changing:
                policy = self._policy(request.parameters.get(CONTEXT_PARAMETER))
                manifest = self.model.manifest
            job = self._input.job(self.model, policy, request.inputs, deadline=now + self._seconds(request))
        except EenasError as error:
            raise error if isinstance(error, Refusal) else Refusal("malformed", str(error)) from None
        job.manifest = manifest
        if self.model.controller is not None and request.id:
            job.is_new = self._learned.first(request)
        return job

    def response(self, job: Job, request: InferenceRequest) -> InferenceResponse:
        """Return the response to an answered job. Raises Refusal if numbers overflowed in the network."""
        finite = np.isfinite(job.logits)
        if not finite.all():
            bad = int(np.flatnonzero(~finite.all(axis=1))[0])
            text = f"the numbers of sample {bad} of {len(job)} overflow in the network; scale the batch as in training"
            raise Refusal("malformed", text)
        outputs = self._outputs(job)
        wanted = request.outputs or tuple(outputs)
        return InferenceResponse(
            outputs={name: outputs[name] for name in wanted},
            model=self.name,
            version=VERSION,
            id=request.id,
            parameters={MODEL_IDENTITY: self._identity},
        )

    def reload(self) -> bool:
        """Take the policy of the manifest on disk; return whether it changed.

        Raises EenasError, and keeps the policy, if the manifest cannot be read or belongs to another network.
        """
        manifest = self.model.manifest
        found: Manifest = read_manifest(manifest.folder, trust_code=True)  # its code was trusted when it was opened
        if not _is_same_network(found, manifest):
            raise EenasError(f"{manifest.folder}: holds another model now; restart the server")
        if found.policy is None:
            raise PolicyError(f"{manifest.folder}: has no policy now; fit thresholds again")
        if found.policy == self.model.policy and found.temperatures == manifest.temperatures:
            return False
        with self._changing:
            self.model.set_policy(found.policy)
            self.model.manifest = replace(
                manifest, policy=found.policy, temperatures=found.temperatures, experts=found.experts
            )
        return True

    @property
    def _output_names(self) -> tuple[str, ...]:
        own = () if self.model.manifest.experts is None else ("experts",)
        return ("classes", "exits", "logits", "confidences", *own)

    def _check_parameters(self, request: InferenceRequest) -> None:
        """Raise Refusal for a request that belongs to another model or to another place in it."""
        given, own = request.parameters.get(MODEL_IDENTITY), self._identity
        if given is not None and given != own:
            text = f"the request is for the model {shortened(given)}, this is {own}; the halves do not belong together"
            raise Refusal("malformed", text)
        split = request.parameters.get(SPLIT_PARAMETER)
        if split is not None and split != self._input.cut:
            text = f"the request starts at {shortened(split)}, this server at {self._input.cut!r}; use the other split"
            raise Refusal("malformed", text)

    def _seconds(self, request: InferenceRequest) -> float:
        """Return the seconds until the deadline of a request."""
        most, value = self._limits.deadline_s, request.parameters.get(TIMEOUT_PARAMETER)
        if value is None or value == 0:
            return most
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise Refusal("malformed", f"timeout must be a number of microseconds, got {shortened(value)}")
        return min(most, value / 1e6)

    def _policy(self, context: object) -> Policy:
        """Return the policy of a request in a context. Raises PolicyError for a context that is not a name."""
        if context is not None and not isinstance(context, str):
            raise PolicyError(f"a context is a name such as 'clean', got {shortened(context)}")
        if self.model.controller is not None:
            return ObservedPolicy(self.model.controller, context)
        policy = self.model.policy
        assert policy is not None  # `set_policy` takes no None
        if isinstance(policy, ContextPolicy):  # without a warning for each request in an unknown context
            return policy.of(context)
        if isinstance(policy, ExpertPolicy) and context is not None:
            raise PolicyError("the experts of this model follow from its samples; leave the context out")
        return policy_in(policy, context)

    def _outputs(self, job: Job) -> Mapping[str, NDArray[Any]]:
        manifest = job.manifest
        assert manifest is not None  # `job` sets it
        own: dict[str, NDArray[Any]] = {}
        found = Prediction(job.classes, job.exits, job.logits, manifest.exits, manifest.temperatures)
        if manifest.experts is not None:
            facts = manifest.experts
            assert job.entry.experts is not None
            found = RoutedPrediction(
                job.classes,
                job.exits,
                job.logits,
                manifest.exits,
                manifest.temperatures,
                job.entry.experts,
                facts.names,
                facts.temperatures,
            )
            own = {"experts": job.entry.experts}
        confidences = found.confidences.astype(np.float32)
        answers: dict[str, NDArray[Any]] = {"classes": job.classes, "exits": job.exits, "logits": job.logits}
        return {**answers, "confidences": confidences, **own}


def manifest_stamp(folder: Path | str) -> ManifestStamp | None:
    """Return the stamp of the manifest in a folder, or None if it is not there."""
    try:
        found = os.stat(Path(folder) / MANIFEST)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_same_network(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests are of the same programs; a calibration changes temperatures, and so the identity."""
    if one.split is not None or other.split is not None:
        return one.identity == other.identity
    first, second = (replace(each, temperatures=other.temperatures) for each in (one, other))
    return first.identity == second.identity
