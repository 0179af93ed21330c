"""Routing in the runtime: the expert of each sample of a batch, and one program for each expert at every exit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import DeviceError, EenasError, ExportError, PolicyError
from eenas.policies.experts.expert_policy import ExpertPolicy, ExpertState
from eenas.policies.policy import Policy
from eenas.programs.experts.expert_facts import ExpertFacts
from eenas.programs.manifest import Manifest
from eenas.programs.prediction import Prediction
from eenas.programs.segments import (
    INPUTS,
    OUTPUTS,
    PROVIDERS,
    Array,
    OnnxSegment,
    Segment,
    Signature,
    error_text,
    open_session,
)


@dataclass(frozen=True, eq=False)
class RoutedPrediction(Prediction):
    """The answers of a model with experts: `experts` int64 [N] answered, numbers of `expert_names`.

    `expert_temperatures` [experts][K] are those of the confidences.
    """

    experts: NDArray[np.int64]
    expert_names: tuple[str, ...]
    expert_temperatures: tuple[tuple[float, ...], ...]

    @property
    def confidences(self) -> NDArray[np.float64]:
        """The probability [N] of each answer, at the temperature of its expert and exit."""
        own = np.asarray(self.expert_temperatures)[self.experts, self.exits]
        scaled = Prediction(self.classes, np.zeros_like(self.exits), self.logits / own[:, None], ("",), (1.0,))
        return scaled.confidences


def _joined(groups: Sequence[NDArray[np.int64]], parts: Sequence[Array]) -> Array:
    """Return the rows [N, ...] of all parts, of which the positions of each part are in `groups`."""
    found = np.empty((sum(map(len, groups)), *parts[0].shape[1:]), dtype=np.float32)
    for rows, part in zip(groups, parts, strict=True):
        found[rows] = part
    return found


class BackboneSegment:
    """A segment of the backbone without an exit, an ONNX file in onnxruntime: x [N, ...] to features [N, ...]."""

    def __init__(self, signature: Signature, *, provider: str, threads: int | None) -> None:
        session = open_session(signature.path, provider=provider, threads=threads)
        signature.check("takes", {value.name: value.shape for value in session.get_inputs()}, signature.inputs)
        wanted = {OUTPUTS[0]: signature.outputs[OUTPUTS[0]]}
        signature.check("returns", {value.name: value.shape for value in session.get_outputs()}, wanted)
        self._run = getattr(session, "_sess", session).run
        self._signature = signature

    def __call__(self, x: Array) -> Array:
        """Run the program. Raises ExportError if it does not run."""
        try:
            found: Array = self._run([OUTPUTS[0]], {INPUTS[0]: x}, None)[0]
        except Exception as error:  # onnxruntime raises many kinds
            raise self._signature.failed(error) from error
        return found


class ExpertSegment:
    """A segment of the backbone and its exit, with one program for each expert.

    As a `Segment` it has the first expert for all samples. `routed` takes the expert of each.
    """

    def __init__(self, body: BackboneSegment, branches: tuple[Segment, ...]) -> None:
        self._body, self._branches = body, branches

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run the segment with the first expert."""
        return self.routed(x, previous, np.zeros(len(x), dtype=np.int64))

    def routed(self, x: Array, previous: Array | None, chosen: NDArray[np.int64]) -> tuple[Array | None, Array]:
        """Run the backbone's part on the whole batch, and the program of each expert on its samples."""
        features, numbers = self._body(x), np.unique(chosen).tolist()
        if len(numbers) == 1:
            return features, self._branches[numbers[0]](features, previous)[1]
        groups = [np.flatnonzero(chosen == number) for number in numbers]
        parts = [
            self._branches[number](features[rows], None if previous is None else previous[rows])[1]
            for number, rows in zip(numbers, groups, strict=True)
        ]
        return features, _joined(groups, parts)


class OwnSegment:
    """A segment and its exit, with one program for each expert, whose features this expert alone can read.

    As a `Segment` it has the first expert for all samples. `routed` takes the expert of each.
    """

    def __init__(self, programs: tuple[Segment, ...]) -> None:
        self._programs = programs

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run the segment of the first expert."""
        return self.routed(x, previous, np.zeros(len(x), dtype=np.int64))

    def routed(self, x: Array, previous: Array | None, chosen: NDArray[np.int64]) -> tuple[Array | None, Array]:
        """Run the program of each expert on its samples."""
        numbers: list[int] = np.unique(chosen).tolist()
        if len(numbers) == 1:
            return self._programs[numbers[0]](x, previous)
        groups = [np.flatnonzero(chosen == number) for number in numbers]
        parts = [
            self._programs[number](x.take(rows, axis=0), None if previous is None else previous[rows])
            for number, rows in zip(numbers, groups, strict=True)
        ]
        features = [each for each, _ in parts if each is not None]
        return (_joined(groups, features) if features else None), _joined(groups, [logits for _, logits in parts])


class Route:
    """The way of one batch through a model with experts: it knows the expert of each sample that remains.

    It stands for the policy and the segments of the model for this batch. `decide` of the policy shortens `chosen` to
    the samples that remain.
    """

    def __init__(self, facts: ExpertFacts, x: Array) -> None:
        self._facts = facts
        self._all = self.chosen = facts.classifier.choose(x)

    def segments(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Return the segments of the model, each with the experts of the samples that remain."""
        return tuple(_OnRoute(self, each) for each in segments)

    def policy(self, policy: Policy) -> Policy:
        """Return the policy of the model, started with the experts of the batch."""
        return _RoutedPolicy(route=self, policy=policy)

    def prediction(self, found: Prediction) -> RoutedPrediction:
        """Return the answers with the experts that gave them."""
        return RoutedPrediction(
            found.classes,
            found.exits,
            found.logits,
            found.exit_names,
            found.temperatures,
            self._all,
            self._facts.names,
            self._facts.temperatures,
        )


class _OnRoute:
    def __init__(self, route: Route, segment: Segment) -> None:
        self._route, self._segment = route, segment

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        assert isinstance(self._segment, ExpertSegment | OwnSegment)
        return self._segment.routed(x, previous, self._route.chosen)


@dataclass(frozen=True, kw_only=True)
class _RoutedPolicy(Policy):
    """The policy of a model with experts for one batch."""

    kind = "routed"

    route: Route
    policy: Policy

    @property
    def num_exits(self) -> int:
        return self.policy.num_exits

    def start(self, n: int) -> Any:
        policy = self.policy
        return policy.begin(self.route.chosen) if isinstance(policy, ExpertPolicy) else policy.start(n)

    def decide(self, k: int, logits: NDArray[Any], state: Any) -> tuple[NDArray[np.bool_], Any]:
        leave, after = self.policy.decide(k, logits, state)
        if isinstance(after, ExpertState) and leave.any():
            self.route.chosen = after.chosen[~leave]
        return leave, after

    def answer(self, state: Any) -> NDArray[np.int64]:
        return self.policy.answer(state)

    def near(self, k: int, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
        return self.policy.near(k, logits, state)

    def label(self) -> str:
        return self.policy.label()

    def to_table(self) -> dict[str, Any]:
        return self.policy.to_table()


def open_experts(
    manifest: Manifest, *, provider: str = "cpu", threads: int | None = None
) -> tuple[ExpertSegment | OwnSegment, ...]:
    """Open the programs of a manifest with experts, after a check of their checksums; see `open_segments`."""
    if provider not in PROVIDERS:
        raise DeviceError(f"provider must be {' or '.join(PROVIDERS)}, got {provider!r}")
    opened: list[ExpertSegment | OwnSegment] = []
    own = manifest.experts is not None and manifest.experts.own_norms
    for k in range(len(manifest.segments)):
        try:
            open_one = _open_own_segment if own else _open_segment
            opened.append(open_one(manifest, k, provider, threads))
        except EenasError:
            raise
        except Exception as error:  # onnxruntime raises many kinds for a program that it cannot run
            raise ExportError(
                f"{manifest.folder}: the programs of exit {manifest.exits[k]!r} do not load here "
                f"({error_text(error)}); export again, or update"
            ) from error
    return tuple(opened)


def _open_segment(manifest: Manifest, k: int, provider: str, threads: int | None) -> ExpertSegment:
    """Open a segment that all experts share, and the exit of each."""
    body, heads, classes = manifest.segments[k], [row[k] for row in manifest.branches], len(manifest.classes)
    signature = Signature(manifest.path(body), body, tuple(heads[0].shape), classes)
    part = BackboneSegment(signature, provider=provider, threads=threads)
    signatures = [Signature(manifest.path(head), head, None, classes) for head in heads]
    return ExpertSegment(part, tuple(OnnxSegment(each, provider=provider, threads=threads) for each in signatures))


def _open_own_segment(manifest: Manifest, k: int, provider: str, threads: int | None) -> OwnSegment:
    """Open a segment with its exit of each expert."""
    rows, classes = (manifest.segments, *manifest.branches), len(manifest.classes)
    following = [tuple(row[k + 1].shape) if k + 1 < len(row) else None for row in rows]
    signatures = [
        Signature(manifest.path(row[k]), row[k], after, classes) for row, after in zip(rows, following, strict=True)
    ]
    return OwnSegment(tuple(OnnxSegment(each, provider=provider, threads=threads) for each in signatures))


def check_experts(policy: Policy, facts: ExpertFacts | None) -> None:
    """Raise PolicyError unless a policy is for the experts of a model, or for none if it has none."""
    if facts is None and isinstance(policy, ExpertPolicy):
        raise PolicyError("the policy is for experts, but this model has none; give a plain policy")
    if facts is not None and (not isinstance(policy, ExpertPolicy) or tuple(policy.names) != facts.names):
        raise PolicyError(f"the policy must be for the experts {', '.join(facts.names)}; give an ExpertPolicy of them")
