"""Candidate tables made up for tests: exits that get better with depth, on samples that are hard or easy."""

import numpy as np

from eenas.frozen.candidate_table import CandidateTable


def made_up_table(
    places: int = 6, structures: int = 1, samples: int = 600, *, branch: float = 0.01, seed: int = 0
) -> CandidateTable:
    """`structures` candidates at each of `places` cut points, dearer ones better; a branch costs this share or more."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 5, samples)
    difficulty = np.maximum(generator.gamma(2.0, 1.0, samples), 0.3)
    shared = generator.normal(size=(samples, 5))
    logits, names, backbone, branches = [], [], [], []
    for place in range(places + 1):
        depth = (place + 1) / (places + 1)
        for structure in range(structures if place < places else 1):
            quality = (0.8 + 6 * depth**0.5 + 0.4 * generator.normal()) * (1 + 0.15 * structure)
            found = 0.8 * shared + 0.8 * generator.normal(size=(samples, 5))
            found[np.arange(samples), labels] += quality / difficulty
            logits.append(1.6 * found)
            if place < places:
                names.append(f"block{place + 1}")
                backbone.append(depth * 1e6)
                branches.append(branch * (1 + 1.5 * structure) * 1e6)
    return CandidateTable(
        names=tuple(names),
        logits=np.stack(logits, axis=1),
        labels=labels,
        backbone_macs=np.array([*backbone, 1e6]),
        branch_macs=np.array(branches),
    )
