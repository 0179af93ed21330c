"""The runtime: an exported model that answers batches and stops, with NumPy and onnxruntime alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, PolicyError
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.policy import Policy
from eenas.programs.budget import within_budget
from eenas.programs.manifest import Manifest, read_manifest
from eenas.programs.segments import Segment, open_segments


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a batch of N answered, in the order of the input.

    `classes` int64 [N] are class numbers, as the policy answers; `exits` int64 [N] the exit (0 is the first) where the
    sample left; `logits` float32 [N, num_classes] of that exit, before its temperature, of which `temperatures` has one
    for each exit; `exit_names` are the exits in depth order.
    """

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    exit_names: tuple[str, ...]
    temperatures: tuple[float, ...]

    @property
    def confidences(self) -> NDArray[np.float64]:
        """The probability [N] that the exit where a sample left gives to its answer, at that exit's temperature."""
        each = np.asarray(self.temperatures)[self.exits][:, None]
        return _softmax(self.logits / each)[np.arange(len(self.classes)), self.classes]


@dataclass(frozen=True, kw_only=True)
class ExitStatistics:
    """What one exit has done since the count began.

    `left` samples of those that `reached` it; `seconds` in its segment, and `deciding` in the policy there.
    """

    name: str
    reached: int
    left: int
    seconds: float
    deciding: float


class ExportedModel:
    """An exported model, open: `predict` answers a batch, taking out whoever leaves.

    It counts what it does (`statistics`), so that threads which share one see each other's counts; answers do not
    depend on that. `load` makes one.
    """

    _counts: list[tuple[int, int, float, float]]

    def __init__(self, manifest: Manifest, segments: tuple[Segment, ...]) -> None:
        self.manifest = manifest
        self.segments = segments
        self._policy = manifest.policy
        self._counts: list[tuple[int, int, float, float]] = []
        self.reset_statistics()

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits in depth order; at the last one everybody leaves who is left."""
        return self.manifest.exits

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.manifest.classes

    @property
    def policy(self) -> Policy | None:
        """What decides who leaves; at first the policy of the manifest."""
        return self._policy

    def preprocess(self, *samples: Any) -> NDArray[Any]:
        """Samples made ready as they were for training: a batch that `predict` takes.

        They are given one by one or in a list. Of a model for images each is a path, the bytes of a file, a Pillow
        image, or an array uint8 [H, W] or [H, W, C] (red, green, blue; OpenCV's are blue first: `image[..., ::-1]`);
        that needs Pillow, and values are those of training but for 1 of 255. Of a model for series each is an array
        [channels, length] or the path of a `.npy` file. Raises PictureError or InputError for what cannot be read.
        """
        given = (each if isinstance(each, list | tuple) else (each,) for each in samples)
        return self.manifest.preprocessing.prepare([sample for several in given for sample in several])

    def predict(self, batch: NDArray[Any]) -> Prediction:
        """Answers for a batch in which each sample leaves at the first exit where the policy lets it go.

        `batch` is what `preprocess` gives, or what the network's transform gives, float32 [N, ...]; images may also be
        uint8 [N, C, H, W]. Samples that leave free the rest: what lies behind is computed for the others only. Raises
        InputError for any other batch and for one whose numbers overflow in the network, PolicyError where no policy
        was fitted.
        """
        x, policy = self._checked(batch), self._fitted()
        if len(x) == 1:
            return self._predict_one(x, policy)
        total, previous = len(x), None
        classes, exits = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
        logits = np.zeros((total, len(self.classes)), dtype=np.float32)
        active, state = np.arange(total), policy.start(total)
        for k, segment in enumerate(self.segments):
            if len(active) == 0:
                break
            began = time.perf_counter()
            features, found = segment(x, previous)
            between = time.perf_counter()
            leave, state = policy.decide(k, found, state)
            left = int(np.count_nonzero(leave))
            if left:
                leaving = active[leave]
                classes[leaving], exits[leaving], logits[leaving] = policy.answer(state[leave]), k, found[leave]
            self._count(k, len(active), left, between - began, time.perf_counter() - between)
            if left == len(active):
                break
            assert features is not None
            if left:
                stay = ~leave
                rows = np.flatnonzero(stay)  # whole samples are copied faster by number than by mask
                active, x, previous, state = active[rows], features.take(rows, axis=0), found[rows], state[stay]
            else:
                x, previous = features, found
        self._check_answers(logits, exits)
        return Prediction(classes, exits, logits, self.exits, self.manifest.temperatures)

    def _predict_one(self, x: NDArray[np.float32], policy: Policy) -> Prediction:
        """The same for a single sample, of which there is nothing to sort: on small networks that is a tenth."""
        previous, state, clock = None, policy.start(1), time.perf_counter
        for k, segment in enumerate(self.segments):
            began = clock()
            features, found = segment(x, previous)
            between = clock()
            leave, state = policy.decide(k, found, state)
            left = bool(leave[0])
            self._count(k, 1, int(left), between - began, clock() - between)
            if left:
                break
            assert features is not None
            x, previous = features, found
        self._check_answers(found, (k,))
        return Prediction(policy.answer(state), np.array([k]), found, self.exits, self.manifest.temperatures)

    def _check_answers(self, logits: NDArray[np.float32], exits: Sequence[int] | NDArray[np.int64]) -> None:
        """Raise InputError where the logits [N, C] that samples leave with are not finite: they are no answer."""
        finite = np.isfinite(logits)
        if not finite.all():
            bad = int(np.flatnonzero(~finite.all(axis=1))[0])
            raise InputError(
                f"the numbers of sample {bad} of {len(logits)} overflow in the network: the logits of exit "
                f"{self.exits[exits[bad]]!r} are not finite; scale the batch as in training"
            )

    def logits(self, batch: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Every exit's logits [N, num_classes] for a batch as `predict` takes it, stopping nowhere."""
        features: NDArray[np.float32] | None = self._checked(batch)
        previous, found = None, []
        if len(batch) == 0:  # not every operator takes a batch of none
            return [np.zeros((0, len(self.classes)), dtype=np.float32) for _ in self.exits]
        for segment in self.segments:
            assert features is not None
            features, previous = segment(features, previous)
            found.append(previous)
        return found

    def reach(self, batch: NDArray[Any], k: int) -> None:
        """Run what a batch that leaves at exit k (0 is the first) waits for, decisions included; for measuring.

        Raises InputError for another k, and for a batch that `predict` would not take.
        """
        if not 0 <= k < len(self.segments):
            raise InputError(f"exits are numbered from 0 to {len(self.segments) - 1}, got {k!r:.60}")
        features: NDArray[np.float32] | None = self._checked(batch)
        previous, state = None, None if self._policy is None else self._policy.start(len(batch))
        for index, segment in enumerate(self.segments[: k + 1]):
            assert features is not None
            features, previous = segment(features, previous)
            if self._policy is not None:
                _, state = self._policy.decide(index, previous, state)

    def set_policy(self, policy: Policy) -> None:
        """Decide by another policy from now on. Raises PolicyError when it is for another number of exits."""
        if policy.num_exits != len(self.exits):
            raise PolicyError(f"the policy is for {policy.num_exits} exits, this model has {len(self.exits)}")
        self._policy = policy

    def set_thresholds(self, *thresholds: float | None) -> None:
        """Leave from now on where the score is at least the exit's threshold, in [0, 1]; None: nobody leaves there.

        One for each exit but the last, or a single one for all. Raises PolicyError for anything else, and where
        samples do not leave by thresholds.
        """
        given = thresholds * (len(self.exits) - 1) if len(thresholds) == 1 else thresholds
        self.set_policy(_with_thresholds(self._fitted(), given))

    def set_budget(self, *, accuracy: float | None = None, **costs: float | None) -> OperatingPoint:
        """Take the best operating point of the manifest within a budget, and give it back.

        `costs` limit mean costs of a sample by name: `macs` as a share of the plain backbone's (0.5 is half),
        `latency_ms` as it was measured for the manifest, which says where and how, and others, such as `energy`, in
        their unit. Of the points within them it is the most accurate one; with `accuracy`, in [0, 1], the one with the
        fewest MACs that is as accurate. Raises PolicyError for a cost that is not known here, and when no point meets
        the budget, saying which is nearest.
        """
        self._policy = (found := within_budget(self.manifest, accuracy, costs)).policy
        return found

    def warm_up(self, batch: int = 1, *, rounds: int = 3) -> None:
        """Run all of it on a batch of that many samples of zeros, uncounted: the first answer then waits for nothing.

        Raises InputError for what is no number of samples or rounds.
        """
        for name, value in (("batch", batch), ("rounds", rounds)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"warm_up takes a whole {name} from 0 up, got {value!r:.60}")
        blank, before = self.manifest.preprocessing.blank(batch), list(self._counts)
        for _ in range(rounds):
            self.reach(blank, len(self.exits) - 1)
            if self._policy is not None:  # its own first call is slow, too
                self.predict(blank)
        self._counts = before

    @property
    def statistics(self) -> tuple[ExitStatistics, ...]:
        """What `predict` has done since loading or `reset_statistics`, exit by exit."""
        return tuple(
            ExitStatistics(name=name, reached=reached, left=left, seconds=seconds, deciding=deciding)
            for name, (reached, left, seconds, deciding) in zip(self.exits, self._counts, strict=True)
        )

    def reset_statistics(self) -> None:
        """Count from zero."""
        # plain numbers: sums in an array would cost more than a decision
        self._counts = [(0, 0, 0.0, 0.0) for _ in self.exits]

    def _count(self, k: int, reached: int, left: int, seconds: float, deciding: float) -> None:
        before = self._counts[k]
        self._counts[k] = (before[0] + reached, before[1] + left, before[2] + seconds, before[3] + deciding)

    def _fitted(self) -> Policy:
        if self._policy is None:
            raise PolicyError("this model was exported without a policy; train it, or `set_policy` one")
        return self._policy

    def _checked(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        return self.manifest.preprocessing.checked(batch)


def load(
    folder: str | Path, *, provider: str = "cpu", threads: int | None = None, trust_code: bool = False
) -> ExportedModel:
    """The exported model in a folder that `eenas export --format onnx` (or pt2) wrote.

    `provider` is "cpu" or "cuda"; `threads` work within an operator (None: one for each core). Of .pt2 files they are
    torch's own, set for the whole process and left so (`torch.set_num_threads` changes them again). Raises ExportError
    for a folder that is not whole or was changed, for programs of other classes or features than the manifest's, and
    for .pt2 files, which can hold Python code, without `trust_code`, PluginError for a policy of the user's own without
    it; DeviceError for a provider that is not there.
    """
    manifest = read_manifest(folder, trust_code=trust_code)
    segments = open_segments(manifest, provider=provider, threads=threads, trust_code=trust_code)
    return ExportedModel(manifest, segments)


def _with_thresholds(policy: Policy, thresholds: tuple[float | None, ...]) -> Policy:
    """The policy with other thresholds, also where it stands within another one."""
    if isinstance(policy, ThresholdPolicy):
        return replace(policy, thresholds=thresholds, within_budget=True)
    inner = getattr(policy, "policy", None)
    if not isinstance(inner, Policy):
        raise PolicyError(f"samples leave here by {policy.kind!r}, not by thresholds; use set_budget or set_policy")
    return replace(policy, policy=_with_thresholds(inner, thresholds))  # type: ignore[type-var]


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # of logits that are not finite nothing is known
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
