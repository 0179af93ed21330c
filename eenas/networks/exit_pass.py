"""A forward pass that gives the logits of several exits: hooks at the cut points, the backbone, then the branches."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from eenas.backbones.carried import Packer
from eenas.backbones.outputs import main_output
from eenas.networks.gradient_scale import scale_gradient

if TYPE_CHECKING:
    from eenas.networks.network import EarlyExitNetwork


class ExitPass:
    """The passes of a network that give the logits of the same exits, as in its `forward`. A context manager.

    The hooks are there inside the block only, so passes in it do not register any, which a compiler could not trace.
    With `equilibrium`, gradients are scaled as `forward` says.
    """

    def __init__(self, network: "EarlyExitNetwork", exits: Sequence[int] | None, *, equilibrium: bool) -> None:
        self._network, self._final = network, network.final
        self._wanted = list(range(len(network.exits)) if exits is None else exits)
        self._needed = network.needed(self._wanted)
        self._names = [network.exits[index] for index in self._needed]
        self._equilibrium = equilibrium
        self._features: dict[str, Tensor] = {}
        self._packer = Packer(network.backbone)
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Self:
        modules = dict(self._network.backbone.named_modules())
        for index, name in zip(self._needed, self._names, strict=True):
            if name != self._final:
                later = sum(other >= index for other in self._wanted)
                remaining = later if self._equilibrium and index in self._wanted else 0
                hook = partial(_keep, self._features, self._packer, name, remaining)
                self._handles.append(modules[name].register_forward_hook(hook))
        if (last := self._names[-1]) != self._final:
            self._handles.append(modules[last].register_forward_hook(_stop))
        self._packer.__enter__()
        return self

    def __exit__(self, *rest: object) -> None:
        self._packer.__exit__(*rest)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._features.clear()

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the logits of the wanted exits for `[N, ...]`, each `[N, num_classes]`."""
        features = self._features
        try:  # noqa: SIM105 - compilers do not trace `suppress`
            features[self._final] = main_output(self._network.backbone(x))
        except _StopForward:
            pass
        logits: dict[int, Tensor] = {}
        for index, name in zip(self._needed, self._names, strict=True):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index in self._wanted):
                logits[index] = self._network.exit_logits(name, features[name], logits.get(index - 1))
        features.clear()
        return [logits[index] for index in self._wanted]


class _StopForward(Exception):
    """Ends the backbone's forward pass at the last needed cut point."""


def _keep(
    features: dict[str, Tensor], packer: Packer, name: str, remaining: int, module: nn.Module, *passed: Any
) -> Tensor | None:
    """The forward hook of a cut point. `remaining` counts this and the later exits; 0 leaves gradients unscaled."""
    output: Tensor = passed[-1]
    if remaining < 2:
        features[name] = packer(output)
        return None
    shared = scale_gradient(output, 1.0 / remaining)
    features[name] = packer(shared)
    return scale_gradient(shared, float(remaining - 1))


def _stop(module: nn.Module, inputs: Any, output: Tensor) -> None:
    """The forward hook of the last needed cut point."""
    raise _StopForward
