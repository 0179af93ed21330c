"""The runtime: an exported model that answers batches and stops early, with only NumPy and onnxruntime."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, PolicyError, plural
from eenas.policies.controllers.adaptation import controller_for
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.observed_policy import ObservedPolicy
from eenas.policies.kinds.context_policy import policy_in
from eenas.policies.kinds.threshold import own_thresholds, with_thresholds
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.policy import Policy
from eenas.policies.risk.guarantee import Guarantee
from eenas.policies.values import limits_of
from eenas.programs.budget import within_budget
from eenas.programs.experts.routing import Route, check_experts, open_experts
from eenas.programs.manifest import Manifest, check_half, read_manifest
from eenas.programs.prediction import ExitCounts, ExitStatistics, Prediction, answer_one, check_finite_answers
from eenas.programs.remote.edge_client import EdgeClient
from eenas.programs.remote.edge_segments import open_tail
from eenas.programs.remote.remote_settings import RemoteOptions, remote_settings
from eenas.programs.segments import Segment, open_segments
from eenas.programs.streams.model_stream import ModelStream


class ExportedModel:
    """An open exported model. `predict` answers a batch and removes samples as they leave.

    The model counts its work (`statistics`). Threads that share a model share the counts; answers do not depend on
    them. `remote` is the way to the server that runs the rest of the model, or None. Created by `load`.
    """

    def __init__(self, manifest: Manifest, segments: tuple[Segment, ...], remote: EdgeClient | None = None) -> None:
        self.manifest = manifest
        self.segments = segments
        self.remote = remote
        self._policy = manifest.policy
        self.controller: Controller | None = None
        self._counts = ExitCounts(manifest.exits)

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits in depth order. All remaining samples leave at the last one."""
        return self.manifest.exits

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.manifest.classes

    @property
    def policy(self) -> Policy | None:
        """The policy that decides which samples leave. Initially that of the manifest. A controller keeps it."""
        return self._policy

    @property
    def guarantee(self) -> Guarantee | None:
        """The guarantee of the policy in use, or None if it has none. It does not cover other thresholds.

        So there is none while a controller chooses the thresholds.
        """
        decides = self.controller is None and self._policy == self.manifest.policy
        return self.manifest.guarantee if decides else None

    def preprocess(self, *samples: Any) -> NDArray[Any]:
        """Prepare samples as for training and return a batch for `predict`.

        Samples are separate arguments or lists. For a model of images, each is a path, the bytes of a file, a Pillow
        image, or an array uint8 [H, W] or [H, W, C] in the order red, green, blue (OpenCV's are blue, green, red:
        `image[..., ::-1]`). This needs Pillow. Pictures have the pixels of training; arrays that the task resized in
        training differ by at most 1 of 255. For a model of series, each is an array [channels, length] or the path of a
        `.npy` file. Raises PictureError or InputError for samples that cannot be read.
        """
        given = (each if isinstance(each, list | tuple) else (each,) for each in samples)
        return self.manifest.preprocessing.prepare([sample for several in given for sample in several])

    def predict(self, batch: NDArray[Any], *, context: str | None = None) -> Prediction:
        """Return the answers to a batch. Each sample leaves at the first exit where the policy releases it.

        `batch` comes from `preprocess` or from the network's transform, float32 [N, ...]; images may also be uint8
        [N, C, H, W]. Later segments run only on the samples that remain. With thresholds per context, those of
        `context` decide; an unknown context gets a warning and the common thresholds. After `adapt`, the controller
        chooses the policy for the batch and its context, and learns from the answers. Raises InputError for any other
        batch and if numbers overflow in the network, PolicyError without a fitted policy, and for a context that
        neither a controller nor thresholds are for.
        """
        x, controller = self.manifest.preprocessing.checked(batch), self.controller
        if controller is not None:
            observed = ObservedPolicy(controller, context)
            found = self._answer(x, observed, self.segments)
            observed.finish()
            return found
        policy = policy_in(self._fitted(), context)
        if self.remote is not None:
            found = self.remote.answer(x, policy, self._counts, context, batch)
            check_finite_answers(found.logits, found.exits, self.exits)
            return found
        if (route := self._route(x)) is None:
            return self._answer(x, policy, self.segments)
        return route.prediction(self._answer(x, route.policy(policy), route.segments(self.segments)))

    def _answer(self, x: NDArray[np.float32], policy: Policy, segments: Sequence[Segment]) -> Prediction:
        if len(x) == 1:
            one = answer_one(x, policy, segments, self._counts)
            check_finite_answers(one[2], one[1], self.exits)
            return Prediction(*one, self.exits, self.manifest.temperatures)
        total, previous = len(x), None
        classes, exits = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
        logits = np.zeros((total, len(self.classes)), dtype=np.float32)
        active, state = np.arange(total), policy.start(total)
        for k, segment in enumerate(segments):
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
            self._counts.add(k, len(active), left, between - began, time.perf_counter() - between)
            if left == len(active):
                break
            assert features is not None
            if left:
                stay = ~leave
                rows = np.flatnonzero(stay)  # copying whole samples is faster by index than by mask
                active, x, previous, state = active[rows], features.take(rows, axis=0), found[rows], state[stay]
            else:
                x, previous = features, found
        check_finite_answers(logits, exits, self.exits)
        return Prediction(classes, exits, logits, self.exits, self.manifest.temperatures)

    def stream(self) -> ModelStream:
        """Return a stream for one series whose points come one after the other; for models with exits in time."""
        return ModelStream(self, self._counts)

    def logits(self, batch: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return every exit's logits [N, num_classes] for a batch as in `predict`, without stopping."""
        features: NDArray[np.float32] | None = (x := self.manifest.preprocessing.checked(batch))
        previous, found = None, []
        if len(batch) == 0:  # some operators reject an empty batch
            return [np.zeros((0, len(self.classes)), dtype=np.float32) for _ in self.exits]
        for segment in self.segments if (route := self._route(x)) is None else route.segments(self.segments):
            assert features is not None
            features, previous = segment(features, previous)
            found.append(previous)
        return found

    def reach(self, batch: NDArray[Any], k: int) -> None:
        """Run everything that a batch that leaves at exit k (0 is the first) waits for, decisions included.

        For measurements. Raises InputError for an invalid k and for a batch that `predict` rejects.
        """
        if not 0 <= k < len(self.segments):
            raise InputError(f"exits are numbered from 0 to {len(self.segments) - 1}, got {k!r:.60}")
        features: NDArray[np.float32] | None = (x := self.manifest.preprocessing.checked(batch))
        self._route(x)  # with experts, the classifier is waited for, and all samples have the first expert
        previous, state = None, None if self._policy is None else self._policy.start(len(batch))
        for index, segment in enumerate(self.segments[: k + 1]):
            assert features is not None
            features, previous = segment(features, previous)
            if self._policy is not None:
                _, state = self._policy.decide(index, previous, state)

    def adapt(
        self,
        controller: Controller | ControllerKind | str | None,
        /,
        *,
        seed: int = 0,
        trust_code: bool = False,
        **settings: Any,
    ) -> Controller | None:
        """Let a controller choose the thresholds from now on and learn from every batch. Return it; None ends this.

        `controller` is a name such as "adaee" with its `settings` (`overhead=0.2`), a kind such as `AdaEE(...)`, or a
        running one. No labels are needed. The policy of the model is kept for `adapt(None)`. Raises PolicyError for
        settings that are unknown or do not fit this model; the controller so far then stays.
        """
        if controller is None:
            self.controller = None
            return None
        if self.remote is not None:
            raise PolicyError("a controller learns from every exit, some of which run on a server; load without remote")
        if self.manifest.experts is not None:
            raise PolicyError("the thresholds of a model with experts belong to its experts; adapt one without experts")
        macs, own = self.manifest.exit_macs, own_thresholds(self._policy)
        exits = ControlledExits(temperatures=self.manifest.temperatures, costs=macs, thresholds=own)
        model = self.manifest.identity
        self.controller = controller_for(
            controller, settings, exits=exits, model=model, seed=seed, trust_code=trust_code
        )
        return self.controller

    def set_policy(self, policy: Policy) -> None:
        """Replace the policy. Raises PolicyError if the new one is for another number of exits."""
        if policy.num_exits != len(self.exits):
            raise PolicyError(f"the policy is for {plural(policy.num_exits, 'exit')}, this model has {len(self.exits)}")
        if self.controller is not None:
            raise PolicyError("the controller chooses the policy of this model; call `adapt(None)` first")
        check_experts(policy, self.manifest.experts)
        self._policy = policy

    def set_thresholds(self, *thresholds: float | None) -> None:
        """Set the thresholds: samples leave at an exit if their confidence is at least its threshold, in [0, 1].

        Give one threshold for each exit except the last, or a single one for all. At None, no sample leaves. Raises
        PolicyError for other values and for a policy without thresholds.
        """
        given = limits_of(thresholds)
        self.set_policy(with_thresholds(self._fitted(), given * (len(self.exits) - 1) if len(given) == 1 else given))

    def set_budget(self, *, accuracy: float | None = None, **costs: float | None) -> OperatingPoint:
        """Select the best operating point of the manifest within a budget, and return it.

        `costs` limit the mean costs of a sample by name: `macs` as a share of the plain backbone's MACs (0.5 is half),
        `latency_ms` as measured for the manifest, which states where and how, and others, such as `energy`, in their
        unit. The result is the most accurate point within the limits. With `accuracy`, in [0, 1], it is the point with
        the fewest MACs that reaches this accuracy. Raises PolicyError for an unknown cost, and with the nearest point
        if no point meets the budget.
        """
        self.set_policy((found := within_budget(self.manifest, accuracy, costs)).policy)
        return found

    def warm_up(self, batch: int = 1, *, rounds: int = 3) -> None:
        """Run the whole model on `batch` samples of zeros, uncounted, so that the first answer is not delayed.

        Raises InputError for an invalid number of samples or rounds.
        """
        for name, value in (("batch", batch), ("rounds", rounds)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"warm_up: {name} must be a whole number of at least 0, got {value!r:.60}")
        blank, before = self.manifest.preprocessing.blank(batch), list(self._counts.numbers)
        for _ in range(rounds if self.segments else 0):
            self.reach(blank, len(self.segments) - 1)
            if self._policy is not None and self.remote is None:  # the first call of the policy is slow, too
                if self.controller is None:
                    self.predict(blank)
                else:  # it would learn from the zeros
                    self._answer(self.manifest.preprocessing.checked(blank), self._policy, self.segments)
        self._counts.numbers = before

    @property
    def statistics(self) -> tuple[ExitStatistics, ...]:
        """The counts and times of `predict` at each exit since loading or `reset_statistics`."""
        return self._counts.statistics()

    def reset_statistics(self) -> None:
        """Reset all counts and times to zero."""
        self._counts.reset()

    def _fitted(self) -> Policy:
        if self._policy is None:
            raise PolicyError("this model was exported without a policy; train it, or set one with `set_policy`")
        return self._policy

    def _route(self, x: NDArray[np.float32]) -> Route | None:
        """Return the way of a batch through the experts, or None for a model without."""
        return None if self.manifest.experts is None else Route(self.manifest.experts, x)


def load(
    folder: str | Path,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    trust_code: bool = False,
    remote: str | None = None,
    **options: Unpack[RemoteOptions],
) -> ExportedModel:
    """Return the exported model in a folder that `eenas export --format onnx` (or pt2) wrote.

    `provider` is "cpu" or "cuda"; `threads` is the number of threads within an operator (None: one for each core). For
    .pt2 files, `threads` is a setting of torch for the whole process, and stays (`torch.set_num_threads` changes it
    again). With the URL `remote` of a server, such as "http://host:8000", the segments behind `split` run there; the
    `options` are those of RemoteSettings. A folder of `eenas split` for the edge needs one. Raises ExportError if the
    folder is incomplete or was changed, if a program's classes or features differ from the manifest, and for .pt2
    files, which can contain Python code, without `trust_code`; PluginError for a policy of the user's own without
    `trust_code`; DeviceError for an unavailable provider; InputError for invalid options of a server.
    """
    settings = remote_settings(remote, options)
    manifest = read_manifest(folder, trust_code=trust_code)
    check_half(manifest, has_server=settings is not None)
    if manifest.experts is not None:
        return ExportedModel(manifest, open_experts(manifest, provider=provider, threads=threads))
    segments = open_segments(manifest, provider=provider, threads=threads, trust_code=trust_code)
    if settings is None:
        return ExportedModel(manifest, segments)
    tail = open_tail(manifest, provider=provider, threads=threads)
    return ExportedModel(manifest, segments, EdgeClient(manifest, segments, settings, tail=tail))
