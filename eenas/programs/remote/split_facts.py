"""The facts of a split in the manifest of each of its two folders, the edge half and the cloud half."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eenas.programs.json_files import entry, is_text, is_whole, need

EDGE, CLOUD = "edge", "cloud"
"""The two halves of a split model."""

FEATURE_TENSOR, LOGITS_TENSOR = "features", "logits"
"""The tensors that the edge sends: the features at the split, and where needed the logits of all earlier exits."""

TAIL = "tail.onnx"
"""The program from the last exit of the edge to a split between two exits."""


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """One half of a model that is split at the cut point `at`.

    `half` is "edge" or "cloud". `model` is the identity of the whole model and `partner` the digest of the programs of
    the other half. The first `exits` exits of the model run on the edge. `shape` is that of one sample's features at
    the split (0 for any length), float32 before any codec; its last `carried` columns (or channels) stay exact. With
    `sends_logits`, the logits of those exits are sent with the features, because a later exit or the state of the
    policy depends on them.
    """

    at: str
    half: str
    model: str
    partner: str
    exits: int
    shape: tuple[int, ...]
    sends_logits: bool
    carried: int = 0

    @property
    def text(self) -> str:
        """A description for messages: "the edge half of a model split at 'layer2.1'"."""
        return f"the {self.half} half of a model split at {self.at!r}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for the manifest."""
        return {
            "at": self.at,
            "half": self.half,
            "model": self.model,
            "partner": self.partner,
            "exits": self.exits,
            "feature": {
                "name": FEATURE_TENSOR,
                "shape": list(self.shape),
                "dtype": "float32",
                "carried": self.carried,
            },
            "sends_logits": self.sends_logits,
        }


def split_facts(table: Any, exits: Sequence[str]) -> SplitFacts:
    """Return the facts in the table "split" of a manifest with these exits. Raises ExportError with the place."""
    need(isinstance(table, dict), "split", "a table", table)
    at, half = entry(table, "at", "split"), entry(table, "half", "split")
    need(is_text(at) and at != exits[-1], "split.at", "the name of a cut point", at)
    need(half in (EDGE, CLOUD), "split.half", f"{EDGE!r} or {CLOUD!r}", half)
    for name in ("model", "partner"):
        need(is_text(entry(table, name, "split"), 64), f"split.{name}", "a digest", table[name])
    local = entry(table, "exits", "split")
    need(is_whole(local, 0, len(exits) - 1), "split.exits", f"a whole number from 0 to {len(exits) - 1}", local)
    inside = at not in exits or (local > 0 and exits[local - 1] == at)
    need(inside, "split.exits", "the number of exits up to the split", local)
    feature = entry(table, "feature", "split")
    need(isinstance(feature, dict), "split.feature", "a table", feature)
    stated = (feature.get("name"), feature.get("dtype"))
    need(stated == (FEATURE_TENSOR, "float32"), "split.feature", f"called {FEATURE_TENSOR!r}, float32", stated)
    shape = feature.get("shape")
    right = isinstance(shape, list) and 1 <= len(shape) <= 8 and all(is_whole(side, 0, 1 << 28) for side in shape)
    need(right, "split.feature.shape", "a list of whole numbers, 0 for any length", shape)
    carried = feature.get("carried", 0)
    need(is_whole(carried, 0, 1 << 28), "split.feature.carried", "a whole number of columns", carried)
    sends = entry(table, "sends_logits", "split")
    need(isinstance(sends, bool), "split.sends_logits", "true or false", sends)
    return SplitFacts(
        at=at,
        half=half,
        model=table["model"],
        partner=table["partner"],
        exits=local,
        shape=tuple(shape),
        sends_logits=sends,
        carried=carried,
    )


def check_half_programs(facts: SplitFacts, program: Mapping[str, Any], exits: Sequence[str], shape: list[int]) -> None:
    """Check the shapes of the programs of a half of a model for samples of this `shape`. Raises ExportError."""
    segments, tail = program["segments"], program.get("tail")
    if facts.half == CLOUD:
        wanted = len(exits) - facts.exits
        need(len(segments) == wanted, "program.segments", f"a list of {wanted}, one for each exit", len(segments))
        need(tail is None, "program.tail", "left out in the cloud half", tail)
        first = segments[0]["shape"]
        need(first == list(facts.shape), "program.segments[0].shape", f"{list(facts.shape)}, that of the split", first)
        own = segments[0].get("carried", 0)
        need(own == facts.carried, "program.segments[0].carried", f"{facts.carried}, that of the split", own)
        return
    need(len(segments) == facts.exits, "program.segments", f"a list of {facts.exits}, one for each exit", len(segments))
    between = facts.at not in exits
    need((tail is not None) == between, "program.tail", "there if, and only if, no exit is at the split", tail)
    parts = [*segments, *([tail] if between else [])]
    first = parts[0]["shape"]
    need(first == shape, "program.segments[0].shape", f"the shape of a sample, {shape}", first)


def programs_digest(digests: Sequence[str]) -> str:
    """Return the digest of the programs of a half, from their checksums in order."""
    return hashlib.sha256(json.dumps(list(digests)).encode()).hexdigest()[:16]
