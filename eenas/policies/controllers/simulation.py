"""The simulation of a controller on a stream: regret, accuracy, cost and early leaving, beside fixed arms."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds, same_for_all
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import ControllerKind, exits_taken
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.replayed import answered_correctly, replay
from eenas.policies.controllers.stream import Stream
from eenas.policies.values import check_whole

MOST_VALUES = 25_000_000
"""The largest number of rewards: samples times arms, of all different phases."""
POINTS = 100
"""The largest number of points of a course over time."""
RANDOM, FINAL = "random arm", "final exit only"


@dataclass(frozen=True, kw_only=True)
class StreamOutcome:
    """Totals over a stream. `regret` is the pseudo-regret: the sum of the best arm's mean reward minus that of the arm.

    The best arm is that of each phase or, if contexts are told, of each context in each phase. `sample_regret` is, per
    round, the reward of the best exit for each sample minus that earned: no policy that does not see the future reaches
    0. `accuracy` is None without labels. `cost` is the mean cost as a share of that of the final exit, `leaving` the
    share of samples that leave early.
    """

    regret: float
    sample_regret: float
    reward: float
    accuracy: float | None
    cost: float
    leaving: float


@dataclass(frozen=True, kw_only=True)
class PhaseFacts:
    """One phase: its rounds from `start` to before `end`, the mean reward of each arm [A], and the best arm's number.

    `final` is the mean reward of the final exit only.
    """

    name: str
    start: int
    end: int
    means: tuple[float, ...]
    best: int
    final: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """The course of one seed at B points: pseudo-regret so far, and means since the point before, each [B]."""

    rounds: NDArray[np.int64]
    regret: NDArray[np.float64]
    sample_regret: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None
    cost: NDArray[np.float64]
    leaving: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """A controller on a stream with several seeds.

    `arms` [A] are its thresholds. `outcomes` and `courses` have one entry for each seed. `baselines` are the fixed arms
    by name (the best one over the whole stream is `best_fixed`), a random arm for each sample, and the final exit only,
    in expectation over the stream.
    """

    recording: str
    samples: int
    replaced: int
    exits: tuple[str, ...]
    kind: ControllerKind
    stream: Stream
    arms: tuple[Thresholds, ...]
    phases: tuple[PhaseFacts, ...]
    outcomes: tuple[StreamOutcome, ...]
    courses: tuple[Course, ...]
    baselines: dict[str, StreamOutcome]
    best_fixed: str

    def names(self) -> tuple[str, ...]:
        """Return the names of the arms; see `arm_name`."""
        return tuple(map(arm_name, self.arms))


@dataclass(frozen=True, eq=False)
class _StreamPart:
    """The samples of a phase with everything that does not depend on the order."""

    recording: Recording
    kind: ControllerKind
    exits: ControlledExits
    arms: tuple[Thresholds, ...]
    told: bool

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        found, wanted = self.kind.rewards(self.exits, self.recording.confidences), (len(self.recording), len(self.arms))
        if np.shape(found) != wanted or not np.isfinite(found).all():
            got = f"got the shape {list(np.shape(found))}"
            raise PolicyError(f"{self.kind.kind}: rewards() must return finite numbers {list(wanted)}, {got}")
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The number [N] of the context of each sample, 0 for all if contexts are not told."""
        if not self.told or self.recording.contexts is None:
            return np.zeros(len(self.recording), dtype=np.int64)
        return np.asarray(np.unique(self.recording.contexts, return_inverse=True)[1].reshape(-1), dtype=np.int64)

    @cached_property
    def group_means(self) -> NDArray[np.float64]:
        """The mean reward of each arm in each group, [G, A]."""
        sums = [np.bincount(self.groups, weights=column) for column in self.rewards.T]
        return np.asarray(np.stack(sums, axis=1) / np.bincount(self.groups)[:, None])

    @cached_property
    def regrets(self) -> NDArray[np.float64]:
        """The pseudo-regret of each arm in each group, [G, A]."""
        return np.asarray(self.group_means.max(axis=1, keepdims=True) - self.group_means)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        return np.asarray(self.rewards.mean(axis=0))

    @cached_property
    def best(self) -> NDArray[np.float64]:
        best = self.kind.best_rewards(self.exits, self.recording.confidences)
        return np.asarray(np.maximum(best, self.rewards.max(axis=1)))

    @cached_property
    def final(self) -> float:
        return float(self.kind.exit_rewards(self.exits, self.recording.confidences)[:, -1].mean())

    @cached_property
    def taken(self) -> NDArray[np.int64]:
        return exits_taken(self.arms, self.recording.confidences)

    @cached_property
    def correct(self) -> NDArray[np.bool_] | None:
        return answered_correctly(self.recording, self.taken, self.kind.final_rule)


def arm_name(thresholds: Thresholds) -> str:
    """Return a short name of an arm: "0.8" for a common threshold, "never" for None, else each exit's."""
    texts = ["never" if each is None else f"{each:g}" for each in thresholds]
    return texts[0] if len(set(texts)) == 1 else " ".join(texts)


def simulate_stream(kind: ControllerKind, recording: Recording, stream: Stream, *, seeds: int = 5) -> Simulation:
    """Replay a kind of controller on a stream, once for each of the seeds 0, 1, ..., and compare it with fixed arms.

    Raises PolicyError for a controller or phases that do not fit the recording.
    """
    check_whole("seeds", seeds, 1, 1000)
    lengths, exits = stream.lengths(), recording.controlled()
    first = Controller(kind, exits)
    by_phase = {
        phase: _StreamPart(part, kind, first.exits, first.arms, stream.contexts)
        for phase, part in zip(stream.phases, stream.parts(recording), strict=True)
    }
    parts = [by_phase[phase] for phase in stream.phases]
    values = sum(len(part.recording) for part in by_phase.values()) * len(first.arms)
    if values > MOST_VALUES:
        raise PolicyError(
            f"a simulation takes at most {MOST_VALUES:,} samples times arms in all different phases, got {values:,}; "
            "give fewer samples, arms or phases"
        )
    runs = [_run(Controller(kind, exits, seed=seed), parts, stream, seed) for seed in range(seeds)]
    ends = np.cumsum(lengths).tolist()
    phases = tuple(
        PhaseFacts(
            name=name,
            start=end - length,
            end=end,
            means=tuple(part.means.tolist()),
            best=int(part.means.argmax()),
            final=part.final,
        )
        for name, end, length, part in zip(stream.phases, ends, lengths, parts, strict=True)
    )
    totals = np.sum([length * part.means for length, part in zip(lengths, parts, strict=True)], axis=0)
    names = [arm_name(arm) for arm in first.arms]
    return Simulation(
        recording=recording.name,
        samples=len(recording),
        replaced=recording.replaced,
        exits=recording.exits,
        kind=kind,
        stream=stream,
        arms=first.arms,
        phases=phases,
        outcomes=tuple(outcome for outcome, _ in runs),
        courses=tuple(course for _, course in runs),
        baselines=dict(_baselines(parts, lengths, names)),
        best_fixed=names[int(totals.argmax())],
    )


def _run(controller: Controller, parts: list[_StreamPart], stream: Stream, seed: int) -> tuple[StreamOutcome, Course]:
    """Replay one seed."""
    generator, columns = np.random.default_rng(seed), []
    shares = np.array(controller.exits.shares)
    for part, length, phase in zip(parts, stream.lengths(), stream.phases, strict=True):
        order = stream.order(part.recording, length, generator)
        done = replay(controller, part.recording, order, stream.names(part.recording, phase))
        earned = part.rewards[order, done.arms]
        right = np.full(length, np.nan) if part.correct is None else part.correct[order, done.arms].astype(np.float64)
        regret = part.regrets[part.groups[order], done.arms]
        left = (done.exits < len(shares) - 1).astype(np.float64)
        columns.append(np.stack([regret, part.best[order] - earned, earned, right, shares[done.exits], left]))
    found = np.concatenate(columns, axis=1)
    regret, sample_regret, reward, right, cost, left = found
    is_known = not np.isnan(right).any()
    outcome = StreamOutcome(
        regret=float(regret.sum()),
        sample_regret=float(sample_regret.mean()),
        reward=float(reward.mean()),
        accuracy=float(right.mean()) if is_known else None,
        cost=float(cost.mean()),
        leaving=float(left.mean()),
    )
    ends = np.unique(np.linspace(0, len(regret), min(POINTS, len(regret)) + 1).round().astype(np.int64))[1:]
    begins = np.concatenate([[0], ends[:-1]])
    means = np.add.reduceat(found, begins, axis=1) / (ends - begins)
    course = Course(
        rounds=ends,
        regret=np.cumsum(regret)[ends - 1],
        sample_regret=np.cumsum(sample_regret)[ends - 1],
        accuracy=means[3] if is_known else None,
        cost=means[4],
        leaving=means[5],
    )
    return outcome, course


def _baselines(parts: list[_StreamPart], lengths: list[int], names: list[str]) -> Iterator[tuple[str, StreamOutcome]]:
    """Yield the outcome of each arm alone, of a random arm, and of the final exit only, in expectation."""
    arms = len(names)
    weights = {name: np.eye(arms)[number] for number, name in enumerate(names)}
    for name, weight in {**weights, RANDOM: np.full(arms, 1 / arms)}.items():
        rows = [
            _expected(part, length, part.rewards, part.taken, weight)
            for part, length in zip(parts, lengths, strict=True)
        ]
        yield name, _total(rows, lengths)
    rows = []
    for part, length in zip(parts, lengths, strict=True):
        never = (same_for_all(None, part.exits),)
        taken = exits_taken(never, part.recording.confidences)
        of_exit = part.kind.exit_rewards(part.exits, part.recording.confidences)
        rows.append(_expected(part, length, np.take_along_axis(of_exit, taken, axis=1), taken, np.ones(1)))
    yield FINAL, _total(rows, lengths)


def _expected(
    part: _StreamPart, length: int, rewards: NDArray[np.float64], taken: NDArray[np.int64], weight: NDArray[np.float64]
) -> list[float]:
    """Return the expected regret of a phase, and its means: sample regret, reward, accuracy, cost and leaving."""
    mean = float(rewards.mean(axis=0) @ weight)
    correct = answered_correctly(part.recording, taken, part.kind.final_rule)
    right = np.nan if correct is None else float(correct.mean(axis=0) @ weight)
    shares, last = np.array(part.exits.shares), len(part.exits.shares) - 1
    reached = float(part.group_means.max(axis=1)[part.groups].mean())
    regret = length * max(0.0, reached - mean)
    sample = float(part.best.mean()) - mean
    return [
        regret,
        sample,
        mean,
        right,
        float(shares[taken].mean(axis=0) @ weight),
        float((taken < last).mean(axis=0) @ weight),
    ]


def _total(rows: list[list[float]], lengths: list[int]) -> StreamOutcome:
    """Return the outcome of a whole stream from those of its phases."""
    table, weight = np.array(rows), np.array(lengths) / sum(lengths)
    _, sample, reward, right, cost, left = (weight @ table).tolist()
    return StreamOutcome(
        regret=float(table[:, 0].sum()),
        sample_regret=sample,
        reward=reward,
        accuracy=None if np.isnan(right) else right,
        cost=cost,
        leaving=left,
    )
