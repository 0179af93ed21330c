"""The loop of `predict` around trivial programs, to time an answer's overhead beside segments and branches."""

import torch

from eenas.measurement.runtime import DECISIONS
from eenas.measurement.stopwatch import Run
from eenas.networks.prediction import PredictionSteps
from eenas.policies.kinds.threshold import ThresholdPolicy


def predict_loop(num_classes: int, device: torch.device, batch: int, program: Run) -> tuple[Run, Run]:
    """Return the loop with one decision and with `DECISIONS`, as `HostLoop` requires.

    Every decision computes the confidence of its logits; all samples leave at the last one.
    """
    with torch.inference_mode():
        logits = torch.randn(batch, num_classes, generator=torch.Generator().manual_seed(0)).to(device)
    return _run(logits, 1, program), _run(logits, DECISIONS, program)


def _run(logits: torch.Tensor, decisions: int, program: Run) -> Run:
    def segment(x: torch.Tensor) -> torch.Tensor:
        program()
        return x

    exits = decisions + 1
    steps = PredictionSteps(
        segments=(segment,) * exits,
        branches=(lambda x: logits,) * exits,
        exits=tuple(str(number) for number in range(exits)),
    )
    thresholds = (*(1.0,) * (decisions - 1), 0.0)
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1e6,) * exits, thresholds=thresholds)
    return lambda: steps.run(logits, policy)
