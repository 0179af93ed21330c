"""The matched static network: a backbone that ends at a cut point, with a classifier of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eenas.backbones.transform import InputTransform
from eenas.branches.abilities import auxiliary_loss_of
from eenas.designs.design import Design
from eenas.networks.partly_frozen import PartlyFrozen


class _Reached(Exception):
    """Ends the backbone's forward pass at the cut point."""


class TruncatedNetwork(PartlyFrozen):
    """The part of a backbone up to one cut point and one classifier there; what lies behind is never run.

    It trains in the same loop as a network with exits: `forward` gives a list with the one exit's logits.
    """

    def __init__(
        self, backbone: nn.Module, cut_point: str, classifier: nn.Module, *, design: Design, transform: InputTransform
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.branches = classifier
        self.cut_point = cut_point
        self.design = design
        self.transform = transform

    @property
    def exits(self) -> tuple[str, ...]:
        """The one exit's name."""
        return (self.cut_point,)

    def forward(self, x: Tensor, *, equilibrium: bool = False) -> list[Tensor]:
        """Logits `[N, num_classes]` of the one exit for `[N, C, S, S]`; `equilibrium` changes nothing with one exit."""
        kept: list[Tensor] = []

        def stop(module: nn.Module, inputs: object, output: Tensor) -> None:
            kept.append(output)
            raise _Reached

        module = dict(self.backbone.named_modules())[self.cut_point]
        handle = module.register_forward_hook(stop)
        try:
            self.backbone(x)
        except _Reached:
            pass
        finally:
            handle.remove()
        return [self.branches(kept[0])]

    def auxiliary_losses(self, labels: Tensor, exits: Sequence[int] | None = None) -> list[Tensor | None]:
        """What the classifier adds to the loss of its last forward pass in training; labels `[N]`."""
        return [auxiliary_loss_of(self.branches, labels)]

    def drop_unreached(self) -> None:
        """Let go of the gradients of parameters that no forward pass reaches, so that no optimiser touches them."""
        example = next(self.parameters())
        size, channels = self.transform.size, self.transform.channels
        was_training = self.training
        self.eval()
        self.zero_grad(set_to_none=True)  # a copy of the user's module may hold gradients
        with torch.enable_grad():
            self(torch.zeros(1, channels, size, size, device=example.device))[0].sum().backward()
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(parameter.grad is not None)
        self.zero_grad(set_to_none=True)
        self.train(was_training)
