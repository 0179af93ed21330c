"""Measurement: MACs, latency and the profile of a backbone."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.measurement.devices import resolve_device
    from eenas.measurement.latency import Latency, LatencySpec
    from eenas.measurement.macs import count_macs
    from eenas.measurement.profile import Profile, profile_backbone
    from eenas.measurement.runtime import BackboneTimes, Joints, Runtime
    from eenas.measurement.torch_runtime import TorchRuntime

_HOMES = {
    "BackboneTimes": "runtime",
    "Joints": "runtime",
    "Latency": "latency",
    "LatencySpec": "latency",
    "Profile": "profile",
    "Runtime": "runtime",
    "TorchRuntime": "torch_runtime",
    "count_macs": "macs",
    "profile_backbone": "profile",
    "resolve_device": "devices",
}
__all__ = [
    "BackboneTimes",
    "Joints",
    "Latency",
    "LatencySpec",
    "Profile",
    "Runtime",
    "TorchRuntime",
    "count_macs",
    "profile_backbone",
    "resolve_device",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
