"""Learned policies with random gates."""

import numpy as np

from eenas.policies.learned.gate import Gate
from eenas.policies.learned.learned_kinds import LEARNED


def random_policy(kind="policy_gradient", exits=4, hidden=3, limit=0.5, seed=0, size=2.0, **values):
    """A policy with random gates; linear ones without `hidden`."""
    cls, generator = LEARNED[kind], np.random.default_rng(seed)
    features = len(cls.inputs)
    first = [(generator.normal(size=hidden * (features + 1)) * size).tolist() for _ in range(exits - 1)]
    last = [(generator.normal(size=(hidden or features) + 1) * size).tolist() for _ in range(exits - 1)]
    for one, other in zip(first, last, strict=True):  # decisions differ between samples of middling features
        other[-1] -= float(Gate(one, other, features).exact(np.full((1, features), 0.6))[0])
    tempered = tuple(generator.uniform(0.5, 2, size=exits).tolist())
    return cls(temperatures=tempered, first=tuple(first), last=tuple(last), limit=limit, **values)
