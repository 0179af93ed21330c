"""Exit tables for tests: random ones, drawn ones, and the slow obvious loops that fast code is held against."""

import numpy as np
from hypothesis import strategies as st

from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable


def random_table(samples=200, exits=4, classes=5, seed=0, latency=True):
    """A table whose later exits are more often right, with logits of every size."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=samples)
    hardness = generator.normal(size=samples)
    logits = generator.normal(size=(samples, exits, classes))
    for k in range(exits):
        logits[np.arange(samples), k, labels] += 1.0 + k - hardness
        logits[:, k] *= 0.5 + k
    macs = np.cumsum(generator.uniform(1, 3, size=exits)) * 1e6
    return ExitTable(
        logits=logits,
        labels=labels,
        exits=(*(f"layer{k}" for k in range(exits - 1)), "final"),
        costs=Costs.of(macs=macs, latency=macs / 1e6 + 0.1 if latency else None),
    )


def deceptive_table(samples=600, exits=3, classes=4, seed=0):
    """A table whose branches are the more confident, the more often they are wrong: a threshold is of no use."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, exits, classes)) * 0.1
    for k in range(exits):
        right = generator.random(samples) < (0.95 if k == exits - 1 else 0.5)
        answers = np.where(right, labels, (labels + 1) % classes)
        confident = right if k == exits - 1 else ~right
        logits[np.arange(samples), k, answers] += np.where(confident, 3.0, 1.0) + generator.random(samples)
    return ExitTable(
        logits=logits.astype(np.float32),
        labels=labels,
        exits=(*(f"layer{k}" for k in range(exits - 1)), "final"),
        costs=Costs.of(macs=np.arange(1.0, exits + 1)),
    )


@st.composite
def tables(draw, min_exits=1, max_samples=14):
    """Small tables with many ties: logits are small integers."""
    samples = draw(st.integers(1, max_samples))
    exits = draw(st.integers(min_exits, 4))
    classes = draw(st.integers(2, 4))
    size = samples * exits * classes
    values = draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples))
    steps = draw(st.lists(st.integers(1, 5), min_size=exits, max_size=exits))
    scale = draw(st.sampled_from([0.5, 1.0, 30.0]))
    return ExitTable(
        logits=np.array(values, dtype=np.float32).reshape(samples, exits, classes) * scale,
        labels=np.array(labels),
        exits=tuple(f"exit{k}" for k in range(exits)),
        costs=Costs.of(macs=np.cumsum(steps) * 10.0, latency=np.cumsum(steps) * 0.7),
    )


def slow_leave(scores_of_sample, thresholds):
    """The exit at which one sample leaves."""
    for k, threshold in enumerate(thresholds):
        if threshold is not None and scores_of_sample[k] >= threshold:
            return k
    return len(thresholds)
