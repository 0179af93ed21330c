"""Measurement: MACs, latency and the profile of a backbone."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.measurement.costs.cost import Cost
    from eenas.measurement.costs.linear import LinearCost
    from eenas.measurement.costs.measured_table import TableCost
    from eenas.measurement.costs.spec import CostSpec
    from eenas.measurement.devices import resolve_device
    from eenas.measurement.latency import Latency, LatencySpec
    from eenas.measurement.macs import count_macs
    from eenas.measurement.profile import Profile, profile_backbone
    from eenas.measurement.runtime import BackboneTimes, Joints, Runtime
    from eenas.measurement.torch_runtime import TorchRuntime

_HOMES = {
    "BackboneTimes": "runtime",
    "Cost": "costs.cost",
    "CostSpec": "costs.spec",
    "Joints": "runtime",
    "Latency": "latency",
    "LatencySpec": "latency",
    "LinearCost": "costs.linear",
    "Profile": "profile",
    "Runtime": "runtime",
    "TableCost": "costs.measured_table",
    "TorchRuntime": "torch_runtime",
    "count_macs": "macs",
    "profile_backbone": "profile",
    "resolve_device": "devices",
}
__all__ = [
    "BackboneTimes",
    "Cost",
    "CostSpec",
    "Joints",
    "Latency",
    "LatencySpec",
    "LinearCost",
    "Profile",
    "Runtime",
    "TableCost",
    "TorchRuntime",
    "count_macs",
    "profile_backbone",
    "resolve_device",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
