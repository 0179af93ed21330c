"""The choice of the segment that runs next, from the samples that wait before each."""

from collections.abc import Sequence

PATIENCE = 3
"""How often in a row a segment with waiting samples can be passed over before its turn comes."""


class Turns:
    """Chooses a segment at each turn. `order` is "shallowest" or "deepest".

    "shallowest" runs the first segment that has samples, so that new requests reach their first exits soon, while
    samples before deeper ones gather to larger batches. A segment before which a whole batch waits runs before it, the
    deepest of several, so that none piles up. A segment that was passed over PATIENCE times in a row is next; of
    several, the one that was passed over most often. "deepest" ends what was started before it starts anything new.
    """

    def __init__(self, segments: int, batch: int, order: str = "shallowest") -> None:
        self._batch, self._order = batch, order
        self._passed_over = [0] * segments

    def next(self, waiting: Sequence[int]) -> int:
        """Return the number of the segment to run; `waiting` are the samples before each, at least one above 0."""
        some = [k for k, count in enumerate(waiting) if count]
        if self._order == "deepest":
            return some[-1]
        late = [k for k in some if self._passed_over[k] >= PATIENCE]
        full = [k for k in some if waiting[k] >= self._batch]
        due = sorted(late, key=lambda k: self._passed_over[k]) or full
        chosen = due[-1] if due else some[0]
        for k in some:
            self._passed_over[k] += 1
        self._passed_over[chosen] = 0
        return chosen
