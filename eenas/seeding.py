"""Seeds: one number per study, and others derived from it by words."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager


def derive(seed: int, *words: str | int) -> int:
    """Return a seed in [0, 2**31) derived from `seed` and all words, equal on every machine."""
    text = "/".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 2**31


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch (every device) inside the block, and restore their states afterwards."""
    import numpy as np
    import torch

    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
