"""End-to-end latency: the network itself run to each of its exits, to be held against what was composed for them."""

from functools import partial

import torch

from eenas.measurement.latency import Latency, LatencySpec, torch_runtime
from eenas.measurement.torch_runtime import time_program
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.threshold import ThresholdPolicy

EVEN = 1e6
"""A temperature at which all classes are as good as equally likely, so that no score reaches 1."""


def end_to_end(
    network: EarlyExitNetwork, images: torch.Tensor, *, device: torch.device, spec: LatencySpec
) -> tuple[Latency, ...]:
    """How long `predict` takes for `images` [spec.batch, C, S, S], floats on `device`, to leave at each exit in turn.

    Segment by segment, with every branch and every decision on the way, under the conditions of the profile. The host
    holds the watch: it waits for each decision. The network is left in evaluation mode.
    """
    network.eval()
    runtime = torch_runtime("segment by segment")
    return tuple(
        time_program(
            partial(network.predict, policy=_leave_at(k, len(network.exits))),
            images,
            device=device,
            spec=spec,
            runtime=runtime,
            host_clock=True,
        )
        for k in range(len(network.exits))
    )


def _leave_at(k: int, exits: int) -> ThresholdPolicy:
    """Everybody leaves at exit k and nobody before, where each score is computed and compared all the same."""
    thresholds = [1.0] * (exits - 1)
    thresholds[k : k + 1] = [0.0] * len(thresholds[k : k + 1])
    return ThresholdPolicy(score="max_softmax", temperatures=(EVEN,) * exits, thresholds=tuple(thresholds))
