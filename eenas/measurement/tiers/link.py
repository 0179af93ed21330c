"""A link between two tiers: bandwidth, round trip, jitter, loss, prices and how features are encoded on it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

from eenas import bounds, specs
from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.tiers.link_presets import PRESETS
from eenas.measurement.tiers.transfer import transfer_ms

Codec = Literal["float32", "float16", "int8"]
Compression = Literal["none", "deflate", "zstd", "lz4"]
BYTES = {"float32": 4, "float16": 2, "int8": 1}
"""Bytes of a value of the features in each codec."""
SCALE_BYTES = 8
"""Bytes of the scale and the offset that a message in int8 holds."""
OVERHEAD = 600
"""Bytes of the headers that HTTP and the Open Inference Protocol add: 638 to a request and 575 to its answer."""
MOST_MBIT = 1e6
"""The largest bandwidth of a link, 1 Tbit/s."""
MOST_MS = 1e6
"""The largest round trip and jitter."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link from one tier to the next, used by one request at a time over a kept connection.

    Raises SpecError for an unknown preset and values out of range.
    """

    mbit: float
    """Bandwidth in Mbit/s (10^6 bits), for each direction."""
    round_trip_ms: float = 0.0
    """Shortest round trip in milliseconds."""
    jitter_ms: float = 0.0
    """Largest delay in milliseconds that jitter adds to a round trip."""
    loss: float = 0.0
    """Probability, in [0, 0.5], that a segment is lost."""
    price_per_gb: float = 0.0
    """Price of 10^9 bytes in any currency, for either direction."""
    joules_per_mb: float = 0.0
    """Energy in joules of 10^6 bytes, for either direction."""
    codec: Codec = "float32"
    """How features are sent."""
    compression: Compression = "none"
    """Compression without loss of what is sent."""
    compression_ratio: float = 1.0
    """Compressed bytes as a share of the uncompressed ones, in (0, 1], as measured; 1 if unknown."""
    overhead_bytes: int = OVERHEAD
    """Bytes of the headers of each request and each answer."""
    warm: bool = False
    """Whether requests follow each other so closely that TCP's window stays open; otherwise each begins with slow
    start."""
    preset: str = ""
    """Name of a shipped link that gives bandwidth and round trip; other keys override it."""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        if self.preset and self.preset not in PRESETS:
            raise SpecError(_unknown_preset(self.preset))
        for name, known in (("codec", get_args(Codec)), ("compression", get_args(Compression))):
            if (got := getattr(self, name)) not in known:
                raise SpecError(f"unknown {name} {shortened(got)}; {nearest(str(got), known)}")
        if not 0 < self.mbit <= MOST_MBIT:
            raise SpecError(f"mbit must be above 0 and at most {MOST_MBIT:,.0f} Mbit/s, got {shortened(self.mbit)}")
        most = {"loss": 0.5, "round_trip_ms": MOST_MS, "jitter_ms": MOST_MS, "overhead_bytes": 1e6}
        for name in ("round_trip_ms", "jitter_ms", "loss", "price_per_gb", "joules_per_mb", "overhead_bytes"):
            limit = most.get(name, 1e9)
            if not 0 <= (got := getattr(self, name)) <= limit:
                raise SpecError(f"{name} must be from 0 to {limit:,g}, got {shortened(got)}")
        if not 0 < self.compression_ratio <= 1:
            raise SpecError(
                f"compression_ratio must be above 0 and at most 1 (no compression), got "
                f"{shortened(self.compression_ratio)}"
            )
        if self.compression == "none" and self.compression_ratio != 1:
            raise SpecError(
                f'compression_ratio {self.compression_ratio:g} needs a compression; set it to "deflate", "zstd" or '
                '"lz4", or remove the ratio'
            )

    @property
    def label(self) -> str:
        """A short name: the preset, or bandwidth and round trip."""
        numbers = f"{self.mbit:g} Mbit/s, {self.round_trip_ms:g} ms"
        return f"{self.preset} ({numbers})" if self.preset else numbers

    @classmethod
    def of_preset(cls, name: str) -> Self:
        """Return a shipped link. Raises SpecError for an unknown name, with the nearest one."""
        if name not in PRESETS:
            raise SpecError(_unknown_preset(name))
        found = PRESETS[name]
        return cls(mbit=found.mbit, round_trip_ms=found.round_trip_ms, preset=name)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Read a link. Its `preset` gives the bandwidth and the round trip that the table does not have."""
        bounds.check_keys(table, [each.name for each in fields(cls)], file=file, key=key, kind="the link")
        where = bounds.located(file, key) or "the link"
        values = dict(table)
        if name := values.get("preset"):
            if not isinstance(name, str) or name not in PRESETS:
                raise SpecError(f"{where}: {_unknown_preset(name)}")
            values = {"mbit": PRESETS[name].mbit, "round_trip_ms": PRESETS[name].round_trip_ms, **values}
        if "mbit" not in values:
            names = ", ".join(repr(known) for known in PRESETS)
            raise SpecError(f"{where}: a link needs a bandwidth; give mbit = 5.85 or a preset ({names})")
        return specs.read_fields(cls, values, file=file, key=key)

    def to_table(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, and the bandwidth; `from_table` is the inverse."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        defaults = {each.name: each.default for each in fields(self)}
        kept = {"mbit", "round_trip_ms"}
        return {name: value for name, value in values.items() if name in kept or value != defaults[name]}

    def encoded_bytes(self, elements: int) -> float:
        """Return the bytes of features with so many values in this link's codec and compression."""
        raw = elements * BYTES[self.codec] + (SCALE_BYTES if self.codec == "int8" else 0)
        return raw * self.compression_ratio

    def send_ms(self, sent: float, received: float = 0.0) -> float:
        """Return the expected milliseconds of one request with `sent` bytes and its answer with `received` bytes.

        It is the time from the first byte sent to the last byte received, without the work of the server: both
        messages with their headers on the wire, one round trip, half of the jitter, the pauses of slow start, and lost
        segments; see `transfer_ms`. Raises SpecError for bytes that are negative or not finite.
        """
        for size in (sent, received):
            if not 0 <= size < math.inf:
                raise SpecError(f"bytes on a link must be a finite number from 0 up, got {shortened(size)}")
        each = [
            transfer_ms(
                size + self.overhead_bytes,
                mbit=self.mbit,
                round_trip_ms=self.round_trip_ms + self.jitter_ms / 2,
                loss=self.loss,
                warm=self.warm,
            )
            for size in (sent, received)
        ]
        return sum(each)

    def joules(self, size: float) -> float:
        """Return the energy of sending or receiving so many bytes."""
        return self.joules_per_mb * size / 1e6

    def price(self, size: float) -> float:
        """Return the price of sending or receiving so many bytes."""
        return self.price_per_gb * size / 1e9


def _unknown_preset(name: object) -> str:
    return f"unknown preset {shortened(name)} of a link; {nearest(str(name), PRESETS)}"
