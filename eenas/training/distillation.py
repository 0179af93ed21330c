"""Knowledge distillation among exits: the teacher and the loss."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.copies import evaluated
from eenas.backbones.outputs import main_output


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return `T^2 KL(softmax(teacher / T) || softmax(student / T))` of logits `[N, C]`, a scalar.

    It is the sum over classes and the mean over samples. The teacher gets no gradient. `T^2` makes the size of the
    gradient independent of the temperature (Hinton, Vinyals and Dean 2015, section 2).
    """
    target = functional.log_softmax(teacher.detach().float() / temperature, dim=1)
    predicted = functional.log_softmax(student.float() / temperature, dim=1)
    return functional.kl_div(predicted, target, reduction="batchmean", log_target=True) * temperature**2


MAX_KEPT = 64 * 2**20
"""The memory of the cache in bytes. Further logits are recomputed every time."""


class KeptAnswers:
    """A cache of the logits of one backbone, for batches that recur in later trainings."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Tensor] = {}
        self._bytes = 0

    def get(self, batch: Hashable) -> Tensor | None:
        """Return the logits of a batch, or None if they are not cached."""
        return self._found.get(batch)

    def keep(self, batch: Hashable, answers: Tensor) -> None:
        """Cache the logits of a batch if there is room."""
        size = answers.numel() * answers.element_size()
        if batch not in self._found and self._bytes + size <= MAX_KEPT:
            self._found[batch] = answers
            self._bytes += size


class BackboneTeacher:
    """A copy of the current backbone as teacher. Its weights are fixed, and its logits have no gradient."""

    def __init__(self, backbone: nn.Module, kept: KeptAnswers | None = None) -> None:
        """`kept` is a cache of this backbone's logits from earlier trainings, which is extended."""
        self.module = evaluated(backbone)
        self.module.requires_grad_(False)
        self._kept = kept or KeptAnswers()

    @torch.no_grad()
    def answers(self, x: Tensor, batch: Hashable = None) -> Tensor:
        """Return the logits `[N, num_classes]` for the network's input `[N, ...]`.

        `batch` identifies recurring samples, whose logits are cached. It is None for samples that do not recur.
        """
        found = None if batch is None else self._kept.get(batch)
        if found is None:
            found = main_output(self.module(x))
            if batch is not None:
                self._kept.keep(batch, found)
        return found
