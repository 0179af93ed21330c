"""Knowledge distillation among exits: who teaches, and the loss."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.networks.network import first_tensor


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(softmax(teacher / T) || softmax(student / T))` of logits `[N, C]`, as a scalar.

    Summed over classes, mean over samples; the teacher gets no gradient. `T^2` keeps the size of the gradient whatever
    the temperature (Hinton, Vinyals and Dean 2015, section 2).
    """
    wanted = functional.log_softmax(teacher.detach().float() / temperature, dim=1)
    said = functional.log_softmax(student.float() / temperature, dim=1)
    return functional.kl_div(said, wanted, reduction="batchmean", log_target=True) * temperature**2


class BackboneTeacher:
    """The backbone as it is now, kept aside: its weights do not change, and its answers have no gradient."""

    def __init__(self, backbone: nn.Module) -> None:
        self.module = copy.deepcopy(backbone).eval().requires_grad_(False)

    @torch.no_grad()
    def answers(self, x: Tensor) -> Tensor:
        """Logits `[N, num_classes]` for the network's own input `[N, C, S, S]`."""
        return first_tensor(self.module(x))
