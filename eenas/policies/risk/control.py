"""Risk control: the cheapest policy of a kind whose loss against the final exit is certified, from calibration alone.

A fifth of the calibration samples (part A) fits temperatures and ensemble, and orders the policies. On the rest (part
B) they are tested one after another, from the safe end (no sample leaves early) to cheaper ones, up to the first that
fails. The order is fixed before part B is used, so the tests need no correction (Learn then Test, Angelopoulos et al.
2025, section 4: fixed-sequence testing).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, nearest
from eenas.policies.costs import MACS
from eenas.policies.curve import signal_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import COMMON, PolicyFrame, kept_ensemble
from eenas.policies.kinds.registry import fitted_kind
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, leave
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.learned.learned_policy import LearnedPolicy
from eenas.policies.learned.selection import can_train, fit_learned, is_learned, with_limit
from eenas.policies.policy import Policy
from eenas.policies.risk.guarantee import LOSSES, METHODS, Guarantee, check_level
from eenas.policies.risk.losses import critical_limits, losses_of
from eenas.policies.risk.p_values import (
    betting_p_value,
    binomial_p_value,
    hoeffding_bentkus_p_value,
    least_samples,
)
from eenas.policies.rule import Rule

FITTED_SHARE = 0.2
"""The share of the calibration samples for the fit."""

STEPS = 500
"""The largest number of policies that are tested."""

Signals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RiskLimit:
    """A limit on the mean loss against the final exit, in (0, 1).

    `confidence` is the probability with which it holds, over calibration samples. None limits the expectation instead,
    by conformal risk control (Angelopoulos et al. 2024). `loss` is one of LOSSES. `method` is "hoeffding_bentkus",
    "betting", or "binomial", the exact test of losses of 0 or 1, which certifies the cheapest policies; it is ignored
    without a confidence. The default leaves a margin that about covers the noise of a finite test split, too. Raises
    PolicyError for values out of range.
    """

    max_risk: float
    confidence: float | None = 0.95
    loss: str = "gap"
    method: str = "hoeffding_bentkus"

    def __post_init__(self) -> None:
        """Check the values."""
        check_level("max_risk", self.max_risk)
        if self.confidence is not None:
            check_level("confidence", self.confidence)
        tests = [name for name in METHODS if name != "conformal"]
        for name, value, known in (("loss", self.loss, list(LOSSES)), ("method", self.method, tests)):
            if value not in known:
                raise PolicyError(f"unknown {name} {value!r:.60}; {nearest(str(value), known)}")

    def passes(self, losses: NDArray[np.float64]) -> bool:
        """Whether losses [n] certify the limit: the p-value is at most 1 - `confidence`, or the mean is low enough."""
        if self.confidence is None:
            return float(losses.sum() + 1) / (len(losses) + 1) <= self.max_risk
        error = 1 - self.confidence
        if self.method == "betting":
            return betting_p_value(losses, self.max_risk, error=error) <= error
        test = binomial_p_value if self.method == "binomial" else hoeffding_bentkus_p_value
        return test(losses, self.max_risk) <= error

    def least(self) -> int:
        """Return the smallest number of samples, all without a loss, that can certify the limit by any method."""
        if self.confidence is None:
            return int(np.ceil(1 / self.max_risk - 1 - 1e-9))
        return least_samples(self.max_risk, self.confidence)


@dataclass(frozen=True, kw_only=True)
class Controlled:
    """A policy with its guarantee. `tested` is the number of policies that were tested, the failed one included."""

    policy: Policy
    guarantee: Guarantee
    tested: int


def controlled(table: ExitTable, limit: RiskLimit, rule: Rule = COMMON, *, seed: int = 0) -> Controlled:
    """Return the cheapest policy of a rule whose loss is certified on a table of the calibration split.

    The final exit's answer is the one that the policy gives if no sample leaves early. All exits share one limit; if a
    kind has several shapes (votes), part A selects the one with the cheapest policy within the limit. If no early exit
    is certified, the policy lets no sample leave early and `guarantee.certified` is False. Raises PolicyError for a
    kind without a limit, and if the table has too few samples to certify even a policy without any loss.
    """
    rule = replace(Rule.of(rule), per_exit=False)
    order = np.random.default_rng(seed).permutation(len(table))
    cut = _fitted_samples(len(table))
    check_samples(limit, len(table))
    fitted_on, tested_on = table.take(order[:cut]), table.take(order[cut:])
    frame = PolicyFrame.on(fitted_on, rule, kept_ensemble(fitted_on, rule))
    walk = _Walk.on(frame, fitted_on, limit)
    passed, tested = walk.last_certified(frame.view(tested_on), limit)
    guarantee = Guarantee(
        max_risk=float(limit.max_risk),
        confidence=limit.confidence,
        loss=limit.loss,
        method="conformal" if limit.confidence is None else limit.method,
        samples=len(tested_on),
        certified=passed > 0 or walk.is_cheapest(passed),
        balanced=table.balanced,
    )
    return Controlled(policy=walk.frame.wrap(walk.policy(passed)), guarantee=guarantee, tested=tested)


@dataclass(frozen=True, eq=False)
class _Walk:
    """The policies of one shape by falling limits [M], the first of which lets no sample leave early."""

    frame: PolicyFrame
    make: Make
    limits: Signals

    @classmethod
    def on(cls, frame: PolicyFrame, fitted_on: ExitTable, limit: RiskLimit) -> "_Walk":
        """Return the walk of the shape with the cheapest policy within the limit on part A."""
        shown = frame.view(fitted_on)
        frame, makes = _shapes(frame, shown)
        found: list[tuple[float, int, _Walk]] = []
        for number, make in enumerate(makes):
            signals, losses = _signals(make, frame, shown, limit.loss)
            curve = signal_curve(signals, losses == 0, shown)
            within = curve.accuracy >= 1 - limit.max_risk  # the curve counts samples without a loss
            cheapest = float(curve.costs[MACS][within].min())
            chosen = np.linspace(0, len(curve) - 1, min(STEPS, len(curve))).round().astype(np.int64)
            found.append((cheapest, number, cls(frame, make, curve.thresholds[::-1][chosen])))
        return min(found, key=lambda each: each[:2])[2]

    def policy(self, step: int) -> SignalPolicy:
        """Return the policy of a step."""
        return self.make(float(self.limits[step]), True)

    def is_cheapest(self, step: int) -> bool:
        """Whether a step is the last one."""
        return step == len(self.limits) - 1

    def last_certified(self, shown: ExitTable, limit: RiskLimit) -> tuple[int, int]:
        """Return the last step before the first that fails on part B, and the number of steps that were tested."""
        signals, losses = _signals(self.make, self.frame, shown, limit.loss)
        rows, critical = np.arange(len(shown)), critical_limits(signals, losses)
        at: Callable[[float], NDArray[np.float64]] = (
            (lambda value: (critical >= value).astype(np.float64))
            if limit.confidence is None
            else (lambda value: losses[rows, leave(signals, np.full(signals.shape[1], value))])
        )
        for step, value in enumerate(self.limits):
            if not limit.passes(at(float(value))):
                return max(0, step - 1), step + 1
        return len(self.limits) - 1, len(self.limits)


def _shapes(frame: PolicyFrame, shown: ExitTable) -> tuple[PolicyFrame, Sequence[Make]]:
    """Return the shapes of a frame's kind. A learned kind that does not win on part A gives way to one threshold."""
    rule = frame.rule
    if is_learned(rule.kind):
        learned = fit_learned(rule.kind, shown, frame.temperatures) if can_train(shown) else None
        if learned is not None and learned.wins(frame.temperatures, rule.score):
            return frame, [partial(_limited, shape) for shape in learned.shapes]
        rule = replace(rule, kind=ThresholdPolicy.kind)
    return replace(frame, rule=rule), fitted_kind(rule.kind).shapes(shown.num_exits, frame.temperatures, rule.score)


def _limited(shape: LearnedPolicy, limit: float, within: bool) -> SignalPolicy:
    return with_limit(shape, limit, within_budget=within)


def _signals(make: Make, frame: PolicyFrame, shown: ExitTable, loss: str) -> tuple[Signals, NDArray[np.float64]]:
    """Return the signals [N, K - 1] of a shape on a table and the losses [N, K] of leaving at each exit."""
    shape = make(np.inf, True)
    evidence = Evidence(shown, frame.temperatures, frame.rule.score)
    return shape.signals(evidence), losses_of(shape.answers(evidence), shown.labels, loss)


def check_samples(limit: RiskLimit, samples: int) -> None:
    """Raise PolicyError if a table of `samples` is too small to certify even a policy without any loss."""
    least = limit.least()
    if samples - _fitted_samples(samples) < least:
        wanted = int(np.ceil(least / (1 - FITTED_SHARE)))
        sure = "in expectation" if limit.confidence is None else f"with {100 * limit.confidence:g} % confidence"
        raise PolicyError(
            f"a loss of at most {limit.max_risk:g} {sure} needs at least {wanted:,} calibration samples, got "
            f"{samples:,}; give more samples, or allow a larger loss"
        )


def _fitted_samples(samples: int) -> int:
    """The number of samples of part A."""
    return int(np.ceil(FITTED_SHARE * samples))
