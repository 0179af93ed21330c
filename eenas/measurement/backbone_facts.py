"""The plain backbone in a few numbers, which every cost of a study is held against."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BackboneFacts:
    """The plain prepared backbone: validation accuracy in [0, 1], MACs, parameters and latency in ms."""

    name: str
    weights: str
    accuracy: float
    macs: int
    parameters: int
    latency_ms: float | None
