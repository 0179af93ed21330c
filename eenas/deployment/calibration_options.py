"""The options of a recalibration."""

from typing import TypedDict

from torch import nn


class CalibrationOptions(TypedDict, total=False):
    """Two limits of `calibrate`, `threads` (None: all cores), and `trust_code` and `backbone` as of `eenas.load`."""

    max_macs: float | None
    max_latency_ms: float | None
    threads: int | None
    trust_code: bool
    backbone: nn.Module | None
