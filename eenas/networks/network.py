"""The built network: the user's backbone with branches, for all exits at once or for early-exit prediction."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.memory_format import INFERENCE, lay_out
from eenas.backbones.transforms.transform import Transform
from eenas.branches.abilities import auxiliary_loss_of, logits_of, takes_previous
from eenas.designs.design import Design, exit_names
from eenas.errors import CutError, InputError
from eenas.networks.exit_pass import ExitPass
from eenas.networks.partly_frozen import PartlyFrozen
from eenas.networks.prediction import NetworkPrediction, PredictionSteps, predict
from eenas.policies.policy import Policy
from eenas.policies.risk.guarantee import Guarantee


class Branches(nn.Module):
    """The branches by cut point. Their state-dict keys are `branches.<cut point>.*`, with "/" for dots in cut points.

    With dots, branches at `0` and `0.1` could have equal keys.
    """

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(branches)
        for name, branch in branches.items():
            self.add_module(key_of(name), branch)

    def at(self, name: str) -> nn.Module:
        """Return the branch at a cut point. Raises KeyError if there is none."""
        branch = self._modules[key_of(name)]
        assert branch is not None
        return branch


def key_of(cut_point: str) -> str:
    """Return the name of a branch's module: the name of its cut point, escaped uniquely."""
    return cut_point.replace("~", "~0").replace("/", "~1").replace(".", "/")


def with_current_keys(state: Mapping[str, Any], cut_points: Sequence[str]) -> dict[str, Any]:
    """Return a state dict with the current keys of branches; older ones have dots in the names of cut points."""
    names = sorted((name for name in cut_points if key_of(name) != name), key=len, reverse=True)
    found = {}
    for key, value in state.items():
        old = next((name for name in names if key.startswith(f"branches.{name}.")), None)
        found[key if old is None else f"branches.{key_of(old)}.{key.removeprefix(f'branches.{old}.')}"] = value
    return found


class EarlyExitNetwork(PartlyFrozen):
    """A backbone with branches at named cut points.

    `forward(x)` maps `[N, ...]` (floats, after `transform`) to the logits of all exits in depth order, each
    `[N, num_classes]`, the backbone's own classifier last. `predict(x)` stops early by the network's `policy`.
    The network of a static design has a single exit, its branch; the backbone after it never runs.

    A branch may read the detached logits of the previous exit (cascades). If the design's loss weights are "boosted",
    every exit but the first adds to the previous logits: the logits of exit k are F_k = F_(k-1) + z_k with F_(k-1)
    detached (Yu et al. 2023, "Boosted Dynamic Neural Networks", section 3.1), in training and in inference.
    """

    def __init__(
        self,
        backbone: nn.Module,
        branches: Mapping[str, nn.Module],
        *,
        design: Design,
        transform: Transform,
        policy: Policy | None = None,
        classes: tuple[str, ...] = (),
        memory_format: torch.memory_format = INFERENCE,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.branches = Branches(branches)
        self.design = design
        self.transform = transform
        self.policy = policy
        self.classes = classes
        self.memory_format = memory_format
        self._certified: tuple[Policy | None, Guarantee | None] = (None, None)
        self._chain: list[Chain] = []  # in a list, since nn.Module would register its segments a second time
        self._steps: list[PredictionSteps] = []
        known = dict(backbone.named_modules())
        for name in branches:
            if name not in known:
                raise CutError(f"the backbone has no module {name!r}; `eenas backbone NAME` prints its cut points")

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits in depth order (`exit_names`). A static network has no final exit."""
        return self.branches.names if self.design.static else exit_names(self.branches.names)

    @property
    def guarantee(self) -> Guarantee | None:
        """The guarantee of the network's policy, or None if it has none or was replaced after its fit."""
        policy, guarantee = self._certified
        return guarantee if policy == self.policy else None

    def certify(self, guarantee: Guarantee | None) -> None:
        """Set the guarantee of the present policy."""
        self._certified = (self.policy, guarantee)

    @property
    def final(self) -> str:
        """The name of the final exit, the backbone's own classifier, even if this network does not have it."""
        return exit_names(self.branches.names)[-1]

    def forward(self, x: Tensor, *, equilibrium: bool = False, exits: Sequence[int] | None = None) -> list[Tensor]:
        """Return the logits of all exits for `[N, ...]`, float32 or the autocast dtype, each `[N, num_classes]`.

        `exits` selects exits by index, in rising order; only their logits are returned, and the backbone runs only as
        far as they need. With `equilibrium` gradients are scaled as in gradient equilibrium: each feature receives the
        mean instead of the sum of the gradients of the later selected exits.
        """
        if self.transform.is_raw(x):
            raise InputError(f"raw samples, {x.dtype}, are transformed first: network(network.transform(x))")
        with ExitPass(self, exits, equilibrium=equilibrium and torch.is_grad_enabled()) as run:
            return run(x)

    def exit_logits(self, name: str, features: Tensor, previous: Tensor | None) -> Tensor:
        """Return the logits `[N, num_classes]` of one exit, given those of the previous exit (None for the first).

        `features` are those at the cut point `name`; for the final exit they are the backbone's own logits.
        """
        branch = None if name == self.final else self.branches.at(name)
        return exit_logits(branch, features, previous, boosted=self.is_boosted)

    def auxiliary_losses(self, labels: Tensor, exits: Sequence[int] | None = None) -> list[Tensor | None]:
        """Return the auxiliary loss of each branch, in order, for its last forward pass in training; labels `[N]`.

        None for a branch without one, and for a branch that is not among the `exits` of that pass.
        """
        return [
            auxiliary_loss_of(self.branches.at(name), labels) if exits is None or index in exits else None
            for index, name in enumerate(self.branches.names)
        ]

    def needed(self, wanted: Sequence[int]) -> list[int]:
        """Return the indices of the wanted exits and of the exits whose logits they read, in rising order."""
        found = set(wanted)
        for index in reversed(range(1, len(self.exits))):
            if index in found and self.reads_previous(self.exits[index]):
                found.add(index - 1)
        return sorted(found)

    def reads_previous(self, name: str) -> bool:
        """Whether the logits of the exit `name` also depend on those of the previous exit."""
        if name == self.exits[0]:
            return False
        return self.is_boosted or (name != self.final and takes_previous(self.branches.at(name)))

    @property
    def is_boosted(self) -> bool:
        """Whether every exit but the first adds to the logits of the previous exit."""
        return self.design.training.loss_weights == "boosted"

    def predict(self, x: Tensor, policy: Policy | None = None) -> NetworkPrediction:
        """Predict for `[N, ...]`: each sample leaves at the first exit at which the policy lets it leave.

        `x` is what `transform` gives, or samples that are visibly raw (uint8 images), which are transformed first.

        Samples that leave are removed from the batch, and later layers run for the others only. Runs in eval mode
        without changing the mode of any module. The first call after `train()`, loading or `to()` collects the modules
        to run; modules replaced by hand take effect after the next of these. Raises PolicyError if neither the network
        nor the caller has a policy, InputError if `x` holds NaN or infinity or its values overflow in the network.
        """
        return predict(self, x, policy if policy is not None else self.policy)

    def chain(self, example: Tensor) -> Chain:
        """Return the backbone in segments that end at the branches; rebuilt after `train`, loading or `to`."""
        if not self._chain:
            self._chain.append(Chain.built_from(self.backbone, example, self.branches.names))
        return self._chain[0]

    def steps(self, example: Tensor) -> PredictionSteps:
        """Return the steps of `predict`: the chain's segments, which are always in eval mode, and the branches.

        Built together with the chain. The weights are then converted to the network's memory format, so a trained and a
        loaded network run alike.
        """
        if not self._steps:
            lay_out(self, self.memory_format)
            branches = tuple(None if name == self.final else self.branches.at(name) for name in self.exits)
            segments = tuple(self.chain(example[:1]).segments)[: len(branches)]
            self._steps.append(
                PredictionSteps(segments=segments, branches=branches, exits=self.exits, boosted=self.is_boosted)
            )
        return self._steps[0]

    def freeze_backbone(self) -> None:
        """Freeze the backbone: no gradients, and eval mode even after `train()`."""
        self.backbone.requires_grad_(False)
        self.keep_in_eval({*self.kept_in_eval, *self.backbone.modules()})

    def train(self, mode: bool = True) -> Self:
        """Set training or eval mode. Training mode drops the chain; modules kept in eval mode stay in it."""
        if mode:
            self._reset()
        return super().train(mode)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights and drop the chain, which is rebuilt at its next use."""
        self._reset()
        state = with_current_keys(state_dict, self.branches.names)
        return super().load_state_dict(state, strict=strict, assign=assign)

    def _apply(self, fn: Any, recurse: bool = True) -> "EarlyExitNetwork":
        self._reset()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_chain": [], "_steps": []}

    def _reset(self) -> None:
        """Drop the chain and the steps; they are rebuilt at their next use."""
        self._chain, self._steps = [], []


def exit_logits(branch: nn.Module | None, features: Tensor, previous: Tensor | None, *, boosted: bool) -> Tensor:
    """Return the logits `[N, num_classes]` of an exit; with `branch` None, `features` are the backbone's own logits.

    `previous` are the logits of the previous exit, None for the first exit.
    """
    before = None if previous is None else previous.detach()
    own = features if branch is None else logits_of(branch, features, before)
    return before + own if before is not None and boosted else own
