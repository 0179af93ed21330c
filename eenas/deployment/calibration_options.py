"""The options of a recalibration."""

from typing import TypedDict

from torch import nn


class CalibrationOptions(TypedDict, total=False):
    """Further options of `calibrate`.

    They are two limits, `confidence` and `loss` of a guarantee, `threads` (None: one for each core), and options of
    `eenas.load`.
    """

    max_macs: float | None
    max_latency_ms: float | None
    confidence: float | None
    loss: str
    threads: int | None
    trust_code: bool
    backbone: nn.Module | None
