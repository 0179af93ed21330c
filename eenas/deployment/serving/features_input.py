"""The tensors of a server behind a split: features, and the logits of earlier exits where decisions depend on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.serving.job import Entry, Job
from eenas.deployment.serving.samples_input import SamplesInput, TensorFacts, check_names
from eenas.errors import ExportError, InputError, nearest
from eenas.policies.policy import Policy
from eenas.programs.manifest import Manifest, ProgramFile
from eenas.programs.preprocessing.preprocessing import check_finite
from eenas.programs.remote.earlier_logits import remembers
from eenas.programs.remote.feature_codec import OFFSET, SCALE, decode_features
from eenas.programs.remote.split_facts import CLOUD, FEATURE_TENSOR, LOGITS_TENSOR
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import Segment
from eenas.tier_names import codec_fault


class FeaturesInput(SamplesInput):
    """Takes `features` at the cut point `cut`, behind the first `exits` exits.

    `program` is the first one behind it; `shape` is that of one sample, 0 for any length. Requests whose codec would
    change carried columns are refused.
    """

    def __init__(self, cut: str, exits: int, program: ProgramFile) -> None:
        self.cut, self._exits, self._shape = cut, exits, tuple(program.shape)
        self._takes_previous, self._carried = program.takes_previous, program.carried

    def facts(self, model: ExportedModel) -> Sequence[TensorFacts]:
        """See `SamplesInput`."""
        features = TensorFacts(FEATURE_TENSOR, "FP32", (-1, *(side or -1 for side in self._shape)))
        if not self._needs_logits(model):
            return [features]
        return [features, TensorFacts(LOGITS_TENSOR, "FP32", (-1, self._exits, len(model.classes)))]

    def segments(self, model: ExportedModel) -> Sequence[Segment]:
        """See `SamplesInput`."""
        missing = len(model.exits) - len(model.segments)  # a cloud half has only those behind the split
        return (*model.segments[:1] * missing, *model.segments)

    def job(self, model: ExportedModel, policy: Policy, tensors: Mapping[str, NDArray[Any]], *, deadline: float) -> Job:
        """See `SamplesInput`. The state of the policy is that after the earlier exits, replayed on their logits."""
        needed = (FEATURE_TENSOR, LOGITS_TENSOR) if self._needs_logits(model) else (FEATURE_TENSOR,)
        check_names(tensors, needed, (LOGITS_TENSOR, SCALE, OFFSET))
        got = tensors[FEATURE_TENSOR].shape
        if len(got) != 1 + len(self._shape) or not self._fits(got[1:]):  # before int8 takes four times the memory
            wanted = f"[N, {', '.join(str(side or 'any') for side in self._shape)}]"
            raise InputError(f"{FEATURE_TENSOR} must be {wanted} at {self.cut!r}, got {list(got)}")
        features, codec = decode_features(tensors), str(tensors[FEATURE_TENSOR].dtype)
        if fault := codec_fault(codec, self._carried):
            raise InputError(f"{FEATURE_TENSOR} at {self.cut!r} as {codec}: {fault}")
        check_finite(features)
        logits = tensors.get(LOGITS_TENSOR)
        if logits is None:
            return self._job(model, policy, Entry(x=features, first=self._exits), deadline)
        shape = (len(features), self._exits, len(model.classes))
        if logits.dtype not in (np.float16, np.float32, np.float64) or logits.shape != shape:
            text = f"those of the earlier exits, got {logits.dtype} {list(logits.shape)}"
            raise InputError(f"{LOGITS_TENSOR} must be FP32 {list(shape)}, {text}")
        earlier = np.ascontiguousarray(logits, dtype=np.float32)
        check_finite(earlier)
        state = policy.start(len(features))
        for k in range(self._exits):  # the edge has kept all of them
            _, state = policy.decide(k, earlier[:, k], state)
        previous = np.ascontiguousarray(earlier[:, -1]) if self._exits else None
        return self._job(model, policy, Entry(x=features, first=self._exits, previous=previous, state=state), deadline)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Whether the features of a sample have the stated sides, and at least one of each side of any length."""
        return all(side == own or (own == 0 and side > 0) for side, own in zip(shape, self._shape, strict=True))

    def _needs_logits(self, model: ExportedModel) -> bool:
        """Whether the state of the policy, a controller or the next exit depends on the exits before the split."""
        depends = self._takes_previous or model.controller is not None or remembers(model.policy)
        return self._exits > 0 and depends

    def _job(self, model: ExportedModel, policy: Policy, entry: Entry, deadline: float) -> Job:
        return Job(entry, policy, classes=len(model.classes), deadline=deadline)


def features_input(manifest: Manifest, cut: str | None) -> FeaturesInput:
    """Return the input of a cloud half, or of a whole model from the cut point of one of its exits.

    Raises ExportError for a model that cannot be served from there.
    """
    place, split = manifest.folder, manifest.split
    if split is not None:
        if split.half != CLOUD:
            raise ExportError(f"{place}: is {split.text}; serve the cloud half, or the whole model")
        if cut is not None and cut != split.at:
            raise ExportError(f"{place}: is {split.text} and cannot be served from {cut!r:.60}; leave --from out")
        return FeaturesInput(split.at, split.exits, manifest.segments[0])
    if manifest.experts is not None:
        raise ExportError(f"{place}: has experts, and a model with experts runs in one place; leave --from out")
    known = manifest.exits[:-1]
    if cut not in known:
        hint = f"eenas split {place} EDGE CLOUD --at CUT makes a folder for any other cut point"
        raise ExportError(
            f"{place}: can be served from its exits, not from {cut!r:.60}; {nearest(str(cut), known)}; {hint}"
        )
    first_exit = known.index(cut) + 1
    return FeaturesInput(cut, first_exit, manifest.segments[first_exit])
