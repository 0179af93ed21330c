"""The tensors that a served model takes: samples for the whole model, or features for the segments behind a split."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.serving.job import Entry, Job
from eenas.errors import InputError
from eenas.escaping import shortened
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.policy import Policy
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import Segment


@dataclass(frozen=True)
class TensorFacts:
    """The metadata of a tensor: its name, datatype and shape; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_table(self) -> dict[str, Any]:
        """Return the table of the protocol."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


class SamplesInput(ABC):
    """Makes jobs of the tensors in a request. `cut` is the split behind which the segments run, "" for all of them."""

    cut: str

    @abstractmethod
    def facts(self, model: ExportedModel) -> Sequence[TensorFacts]:
        """Return the tensors that a request must have."""

    @abstractmethod
    def segments(self, model: ExportedModel) -> Sequence[Segment]:
        """Return the segments of all exits of the whole model. Those before the split are never run."""

    @abstractmethod
    def job(self, model: ExportedModel, policy: Policy, tensors: Mapping[str, NDArray[Any]], *, deadline: float) -> Job:
        """Return the job of a request's tensors. Raises EenasError for tensors that the model does not accept."""


class WholeModel(SamplesInput):
    """Takes samples under the `name` of the model's input, as `predict` takes them; FP16 and FP64 become FP32."""

    cut = ""

    def __init__(self, name: str) -> None:
        self._name = name

    def facts(self, model: ExportedModel) -> Sequence[TensorFacts]:
        """See `SamplesInput`."""
        preprocessing = model.manifest.preprocessing
        datatype = {"float32": "FP32", "int64": "INT64"}[preprocessing.dtype]
        return [TensorFacts(self._name, datatype, (-1, *(side or -1 for side in preprocessing.shape)))]

    def segments(self, model: ExportedModel) -> Sequence[Segment]:
        """See `SamplesInput`."""
        return model.segments

    def job(self, model: ExportedModel, policy: Policy, tensors: Mapping[str, NDArray[Any]], *, deadline: float) -> Job:
        """See `SamplesInput`."""
        check_names(tensors, (self._name,))
        batch = tensors[self._name]
        if batch.dtype in (np.float16, np.float64) and model.manifest.preprocessing.dtype == "float32":
            with np.errstate(over="ignore"):  # infinity is refused below
                batch = batch.astype(np.float32)
        x, facts, state, experts = model.manifest.preprocessing.checked(batch), model.manifest.experts, None, None
        if facts is not None:
            assert isinstance(policy, ExpertPolicy)
            experts = facts.classifier.choose(x)
            state = policy.begin(experts)
        entry = Entry(x=x, state=state, experts=experts)
        return Job(entry, policy, classes=len(model.classes), deadline=deadline)


def check_names(tensors: Mapping[str, Any], needed: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Raise InputError, which lists what metadata list, unless the tensors have the names needed or optional."""
    known = f"inputs are {', '.join(needed)}"
    for name in tensors:
        if name not in needed and name not in optional:
            raise InputError(f"there is no input {shortened(name)}; {known}")
    for name in needed:
        if name not in tensors:
            raise InputError(f"the input {name!r} is missing; {known}")
