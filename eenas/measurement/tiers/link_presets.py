"""Shipped links by name, with the origin of their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LinkPreset:
    """The bandwidth in Mbit/s and the round trip in ms of a link, and the `origin` of both."""

    mbit: float
    round_trip_ms: float
    origin: str


_MOBILE = "uplink of Pacheco and Couto, ISCC 2020 (arXiv 2005.04099); the round trip is an assumption"
_CLOUD = "emulated links of the published experiments of Pacheco, Couto et al. (AdaEE, ICC 2023)"
PRESETS: Mapping[str, LinkPreset] = {
    "3g": LinkPreset(mbit=1.10, round_trip_ms=100.0, origin=_MOBILE),
    "4g": LinkPreset(mbit=5.85, round_trip_ms=50.0, origin=_MOBILE),
    "wifi": LinkPreset(mbit=18.80, round_trip_ms=10.0, origin=_MOBILE),
    "sao_paulo": LinkPreset(mbit=93.6, round_trip_ms=10.0, origin=_CLOUD),
    "fremont": LinkPreset(mbit=73.3, round_trip_ms=180.0, origin=_CLOUD),
    "paris": LinkPreset(mbit=60.0, round_trip_ms=216.0, origin=_CLOUD),
}
"""The shipped links."""
