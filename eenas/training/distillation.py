"""Knowledge distillation among exits: who teaches, and the loss."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.copies import evaluated
from eenas.backbones.outputs import main_output


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(softmax(teacher / T) || softmax(student / T))` of logits `[N, C]`, as a scalar.

    Summed over classes, mean over samples; the teacher gets no gradient. `T^2` keeps the size of the gradient whatever
    the temperature (Hinton, Vinyals and Dean 2015, section 2).
    """
    wanted = functional.log_softmax(teacher.detach().float() / temperature, dim=1)
    said = functional.log_softmax(student.float() / temperature, dim=1)
    return functional.kl_div(said, wanted, reduction="batchmean", log_target=True) * temperature**2


MOST_KEPT = 64 * 2**20
"""Bytes of answers that are kept; what comes after them is computed every time."""


class KeptAnswers:
    """What one backbone answered to batches that come again, in the next training with the same batches."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Tensor] = {}
        self._bytes = 0

    def get(self, batch: Hashable) -> Tensor | None:
        """The answers to a batch, or None where they are not kept."""
        return self._found.get(batch)

    def keep(self, batch: Hashable, answers: Tensor) -> None:
        """Keep them as far as there is room."""
        size = answers.numel() * answers.element_size()
        if batch not in self._found and self._bytes + size <= MOST_KEPT:
            self._found[batch] = answers
            self._bytes += size


class BackboneTeacher:
    """The backbone as it is now, kept aside: its weights do not change, and its answers have no gradient."""

    def __init__(self, backbone: nn.Module, kept: KeptAnswers | None = None) -> None:
        """`kept` are answers of this backbone to batches of earlier trainings; new ones are added."""
        self.module = evaluated(backbone)
        self.module.requires_grad_(False)
        self._kept = kept or KeptAnswers()

    @torch.no_grad()
    def answers(self, x: Tensor, batch: Hashable = None) -> Tensor:
        """Logits `[N, num_classes]` for the network's own input `[N, ...]`.

        `batch` names these very samples, so that their answers are kept; None for samples that do not come again.
        """
        found = None if batch is None else self._kept.get(batch)
        if found is None:
            found = main_output(self.module(x))
            if batch is not None:
                self._kept.keep(batch, found)
        return found
