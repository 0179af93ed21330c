"""The built network: the user's backbone, its branches, all exits at once or one after another."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.transform import InputTransform
from eenas.designs.design import Design
from eenas.errors import CutError
from eenas.networks.gradient_scale import scale_gradient
from eenas.networks.prediction import Prediction, predict
from eenas.policies.threshold import ThresholdPolicy

FINAL = "final"


class Branches(nn.Module):
    """The branches by cut point, so that their keys read `branches.<cut point>.*` though the names hold dots."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(branches)
        self._modules.update(branches)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check names that hold dots, which torch would take for nesting; the branches load themselves."""
        known = tuple(f"{prefix}{name}." for name in self.names)
        if strict:
            unexpected_keys += [key for key in state_dict if key.startswith(prefix) and not key.startswith(known)]

    def at(self, name: str) -> nn.Module:
        """The branch at a cut point. Raises KeyError when there is none."""
        branch = self._modules[name]
        assert branch is not None
        return branch


class EarlyExitNetwork(nn.Module):
    """A backbone with branches at named cut points.

    `forward(x)` takes `[N, C, S, S]` (floats, after `transform`) and gives all exits' logits in depth order, each
    `[N, num_classes]`, the backbone's own classifier last. `predict(x)` stops early by the network's `policy`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        branches: Mapping[str, nn.Module],
        *,
        design: Design,
        transform: InputTransform,
        policy: ThresholdPolicy | None = None,
        classes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.branches = Branches(branches)
        self.design = design
        self.transform = transform
        self.policy = policy
        self.classes = classes
        self._backbone_is_frozen = False
        self._chain: list[Chain] = []  # in a list, so that its segments are not registered a second time
        known = dict(backbone.named_modules())
        for name in branches:
            if name not in known:
                raise CutError(f"the backbone has no module {name!r}; `eenas backbone NAME` prints its cut points")

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits in depth order: cut points, then "final"."""
        return (*self.branches.names, FINAL)

    def forward(self, x: Tensor, *, equilibrium: bool = False) -> list[Tensor]:
        """All exits' logits for `[N, C, S, S]`, float32 or the autocast type, each `[N, num_classes]`.

        With `equilibrium` the gradients are scaled as in gradient equilibrium, so that each feature receives a mean
        and not a sum of what the exits behind it send back.
        """
        features: dict[str, Tensor] = {}
        count = len(self.exits)
        modules = dict(self.backbone.named_modules())
        handles = [
            modules[name].register_forward_hook(
                partial(_keep, features, name, count - position if equilibrium and torch.is_grad_enabled() else 0)
            )
            for position, name in enumerate(self.branches.names)
        ]
        try:
            final = first_tensor(self.backbone(x))
        finally:
            for handle in handles:
                handle.remove()
        return [*(self.branches.at(name)(features[name]) for name in self.branches.names), final]

    def predict(self, x: Tensor, policy: ThresholdPolicy | None = None) -> Prediction:
        """Answers for `[N, C, S, S]`, where each sample leaves at the first exit whose threshold it reaches.

        Samples that leave are removed from the batch, so that what lies behind is computed for the others only.
        Raises PolicyError when neither the network nor the caller has a policy.
        """
        return predict(self, x, policy if policy is not None else self.policy)

    def chain(self, example: Tensor) -> Chain:
        """The backbone in segments that end at the branches; made at first use, and again after `train` or loading."""
        if not self._chain:
            self._chain.append(Chain.built_from(self.backbone, example, self.branches.names))
        return self._chain[0]

    def freeze_backbone(self) -> None:
        """From now on the backbone gets no gradient and stays in eval mode, also after `train()`."""
        self._backbone_is_frozen = True
        self.backbone.requires_grad_(False)
        self.backbone.eval()

    def train(self, mode: bool = True) -> "EarlyExitNetwork":
        """Set training or evaluation mode; training drops the chain, a frozen backbone stays in eval mode."""
        if mode:
            self._chain = []
        super().train(mode)
        if self._backbone_is_frozen:
            self.backbone.eval()
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights; the chain is made anew afterwards."""
        self._chain = []
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def _apply(self, fn: Any, recurse: bool = True) -> "EarlyExitNetwork":
        if hasattr(self, "_chain"):
            self._chain = []
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_chain": []}


def first_tensor(output: Any) -> Tensor:
    """The logits of a backbone that may return auxiliary outputs beside them in training."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return first_tensor(next(iter(output.values())))
    return first_tensor(output[0])


def _keep(
    features: dict[str, Tensor], name: str, remaining: int, module: nn.Module, inputs: Any, output: Tensor
) -> Tensor | None:
    """The forward hook of a cut point; `remaining` counts the exits from here on, 0 to leave gradients alone."""
    if remaining < 2:
        features[name] = output
        return None
    shared = scale_gradient(output, 1.0 / remaining)
    features[name] = shared
    return scale_gradient(shared, float(remaining - 1))
