"""The segments of a model up to a split, which answer the samples that leave there and keep what the others need."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import EenasError, ExportError
from eenas.policies.policy import Policy
from eenas.programs.manifest import Manifest
from eenas.programs.prediction import ExitCounts
from eenas.programs.segments import (
    INPUTS,
    OUTPUTS,
    PROVIDERS,
    Array,
    Segment,
    Signature,
    error_text,
    open_session,
)

Tail = Callable[[Array], Array]
"""The program from the last exit of the edge to a split between two exits: features [n, ...] to features [n, ...]."""


@dataclass(eq=False)
class EdgeAnswers:
    """The answers of the edge to N samples: `classes` and `exits` int64 [N], -1 where a sample stays, `logits` [N, C].

    `staying` int64 [n] are the samples that go on, `features` [n, ...] theirs at the split and `state` that of the
    policy. `earlier` holds their logits [n, C] of each exit so far.
    """

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    staying: NDArray[np.int64]
    features: Array
    state: Any
    earlier: list[Array]


def answer_on_edge(
    x: Array, policy: Policy, segments: Sequence[Segment], counts: ExitCounts, *, classes: int
) -> EdgeAnswers:
    """Run the first segments of a model on x [N, ...]. Samples leave at the exit where `policy` releases them.

    The policy is that of all exits of the model, so samples may stay behind the last of these. `classes` is the number
    of classes.
    """
    total = len(x)
    found = EdgeAnswers(
        classes=np.full(total, -1, dtype=np.int64),
        exits=np.full(total, -1, dtype=np.int64),
        logits=np.zeros((total, classes), dtype=np.float32),
        staying=np.arange(total),
        features=x,
        state=policy.start(total),
        earlier=[],
    )
    for k, segment in enumerate(segments):
        if len(found.staying) == 0:
            break
        began = time.perf_counter()
        features, logits = segment(found.features, found.earlier[-1] if found.earlier else None)
        between = time.perf_counter()
        leave, state = policy.decide(k, logits, found.state)
        leaving = found.staying[leave]
        found.classes[leaving], found.exits[leaving], found.logits[leaving] = (
            policy.answer(state[leave]),
            k,
            logits[leave],
        )
        counts.add(k, len(found.staying), len(leaving), between - began, time.perf_counter() - between)
        rows = np.flatnonzero(~leave)
        found.earlier = [*found.earlier, logits]
        found.features = x[:0] if features is None else features
        if len(leaving):
            found.staying, found.features = found.staying[rows], found.features.take(rows, axis=0)
            found.earlier = [each[rows] for each in found.earlier]
            state = state[~leave]
        found.state = state
    return found


class JoinedSegment:
    """A segment whose first part is a program without an exit; see `Segment`."""

    def __init__(self, tail: Tail, rest: Segment) -> None:
        self._tail, self._rest = tail, rest

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run both parts."""
        return self._rest(self._tail(x), previous)


def open_tail(manifest: Manifest, *, provider: str = "cpu", threads: int | None = None) -> Tail | None:
    """Open the program of an edge half without an exit, after a check of its checksum; None if there is none.

    Raises the same errors as `open_segments`.
    """
    if manifest.tail is None or manifest.split is None:
        return None
    path = manifest.path(manifest.tail)
    signature = Signature(path, manifest.tail, manifest.split.shape, len(manifest.classes))
    try:
        session = open_session(path, provider=provider if provider in PROVIDERS else "cpu", threads=threads)
        wanted = {OUTPUTS[0]: manifest.split.shape}
        signature.check("takes", {value.name: value.shape for value in session.get_inputs()}, signature.inputs)
        signature.check("returns", {value.name: value.shape for value in session.get_outputs()}, wanted)
    except EenasError:
        raise
    except Exception as error:  # onnxruntime raises many kinds for a program that it cannot run
        raise ExportError(f"{path}: does not load here ({error_text(error)}); export again, or update") from error
    run = getattr(session, "_sess", session).run

    def tail(x: Array) -> Array:
        try:
            found: Array = run([OUTPUTS[0]], {INPUTS[0]: x}, None)[0]
        except Exception as error:  # onnxruntime raises many kinds
            raise signature.failed(error) from error
        return found

    return tail


def join_halves(edge: Sequence[Segment], tail: Tail | None, cloud: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments of a whole model from those of its two halves."""
    first = cloud[0] if tail is None else JoinedSegment(tail, cloud[0])
    return (*edge, first, *cloud[1:])
