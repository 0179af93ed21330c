"""The options of a recalibration."""

from typing import TypedDict

from torch import nn


class CalibrationOptions(TypedDict, total=False):
    """Further options of `calibrate`: two limits, `threads` (None: one for each core), and options of `eenas.load`."""

    max_macs: float | None
    max_latency_ms: float | None
    threads: int | None
    trust_code: bool
    backbone: nn.Module | None
