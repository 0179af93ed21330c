"""The network with expert branches: a frozen backbone, and a set of exits for each kind of distortion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.copies import copy_of
from eenas.backbones.memory_format import laid, lay_out
from eenas.designs.design import Design, exit_names
from eenas.errors import DesignError, InputError
from eenas.networks.experts.expert_prediction import ExpertPrediction, predict_with_experts
from eenas.networks.experts.own_norms import need_norms, norm_state, with_own_norms
from eenas.networks.network import Branches, EarlyExitNetwork, exit_logits
from eenas.networks.partly_frozen import PartlyFrozen
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier


class ExpertNetwork(PartlyFrozen):
    """An early-exit network with experts for distorted images (Pacheco, Oliveira and Couto 2021).

    All experts share the backbone, which is frozen in eval mode. Each has its own copy of every branch and of the
    backbone's last layer. The `classifier` chooses the expert of each sample before the first
    exit; its first kind is that of clean images, whose expert is the network that was given.

    With `own_norms`, every expert but the first has its own batch normalisation in the backbone (see `own_norms`), so
    that features are not shared. It starts as that of the network that was given.

    `final_layer` is the name of the Linear layer that outputs the backbone's logits. With None the layers behind the
    last cut point are shared by all experts. `policy` holds the temperatures and thresholds of each expert. Raises
    DesignError if the classifier does not fit the network, and for `own_norms` of a backbone without batch
    normalisation.
    """

    def __init__(
        self,
        base: EarlyExitNetwork,
        classifier: DistortionClassifier,
        *,
        final_layer: str | None = None,
        own_norms: bool = False,
        policy: ExpertPolicy | None = None,
    ) -> None:
        super().__init__()
        if tuple(classifier.shape) != tuple(base.transform.shape):
            wanted, got = list(base.transform.shape), list(classifier.shape)
            raise DesignError(f"the distortion classifier must read the network's inputs {wanted}, got {got}")
        self.design: Design = base.design
        self.transform, self.classes, self.memory_format = base.transform, base.classes, base.memory_format
        self.cut_points, self.exits, self.is_boosted = base.branches.names, base.exits, base.is_boosted
        self.classifier, self.final_layer, self.policy = classifier, final_layer, policy
        if own_norms:
            need_norms(base.backbone)
        self.own_norms, self.body = own_norms, copy_of(base.backbone)
        final = exit_names(self.cut_points)[-1]
        head: nn.Module = nn.Identity()
        if final_layer is not None:
            head = self.body.get_submodule(final_layer)
            owner, _, name = final_layer.rpartition(".")
            setattr(self.body.get_submodule(owner), name, nn.Identity())
        own = {name: head if name == final else base.branches.at(name) for name in self.exits}
        self.experts = nn.ModuleList(
            [Branches({name: copy_of(each) for name, each in own.items()}) for _ in classifier.kinds]
        )
        self.body.requires_grad_(False)
        others = [with_own_norms(self.body) for _ in classifier.kinds[1:]] if own_norms else []
        self.bodies = nn.ModuleList(others)
        self.keep_in_eval((*self.body.modules(), *self.bodies.modules()))
        self.train(False)
        self._segments: dict[int, tuple[nn.Module, ...]] = {}  # in a dict, since nn.Module would register them again

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the experts, the kinds of the classifier."""
        return tuple(self.classifier.kinds)

    def expert(self, number: int) -> Branches:
        """Return the exits of an expert by name, the final one included unless the design is static."""
        found = self.experts[number]
        assert isinstance(found, Branches)
        return found

    def branch(self, number: int, k: int) -> nn.Module:
        """Return the module of exit k of an expert."""
        return self.expert(number).at(self.exits[k])

    def body_of(self, number: int) -> nn.Module:
        """Return the backbone of an expert, without the layer that the experts have copies of."""
        return self.bodies[number - 1] if self.own_norms and number else self.body

    def segments(self, example: Tensor, number: int = 0) -> tuple[nn.Module, ...]:
        """Return the backbone of an expert in K segments that end at the exits, in eval mode.

        The last one gives what heads read.
        """
        number = number if self.own_norms else 0
        if number not in self._segments:
            lay_out(self, self.memory_format)
            chain = Chain.built_from(self.body_of(number), example[:1], self.cut_points)
            self._segments[number] = tuple(chain.segments)[: len(self.exits)]
        return self._segments[number]

    def features(self, x: Tensor, number: int = 0) -> list[Tensor]:
        """Return the features of inputs [N, *shape] at each exit, which an expert reads.

        Without `own_norms`, they are those of all experts. They have gradients only if its batch normalisation learns.
        """
        found, features = [], laid(x, self.memory_format)
        learns = any(each.requires_grad for each in self.body_of(number).parameters())
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            for segment in self.segments(x, number):
                features = segment(features)
                found.append(features)
        return found

    def expert_logits(self, number: int, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits [N, num_classes] of all exits of one expert, from the features of each exit."""
        found: list[Tensor] = []
        for k, each in enumerate(features):
            found.append(self.exit_logits(number, k, each, found[-1] if found else None))
        return found

    def exit_logits(self, number: int, k: int, features: Tensor, previous: Tensor | None) -> Tensor:
        """Return the logits [N, num_classes] of one exit of one expert, given those of its previous exit."""
        return exit_logits(self.branch(number, k), features, previous, boosted=self.is_boosted)

    def choose(self, x: Tensor) -> NDArray[np.int64]:
        """Return the expert [N] that the classifier chooses for each input [N, *shape]."""
        return self.classifier.choose(np.ascontiguousarray(x.detach().float().cpu().numpy()))

    def forward(self, x: Tensor, chosen: NDArray[np.int64] | None = None) -> list[Tensor]:
        """Return the logits of all exits for inputs [N, *shape], each [N, num_classes], by each sample's expert.

        `chosen` [N] are the experts; by default the classifier chooses. Raises InputError for raw samples.
        """
        if self.transform.is_raw(x):
            raise InputError(f"raw samples, {x.dtype}, are transformed first: network(network.transform(x))")
        experts = self.choose(x) if chosen is None else chosen
        shared = self.features(x) if len(x) and not self.own_norms else []
        found: list[Tensor] | None = None
        for number in np.unique(experts).tolist():
            rows = torch.from_numpy(np.flatnonzero(experts == number)).to(x.device)
            features = self.features(x[rows], number) if self.own_norms else [each[rows] for each in shared]
            logits = [each.float() for each in self.expert_logits(number, features)]
            if found is None:
                found = [each.new_zeros(len(x), each.shape[1]) for each in logits]
            for k, each in enumerate(logits):
                found[k] = found[k].index_copy(0, rows, each)
        return found if found is not None else [x.new_zeros(0, self.design.num_classes) for _ in self.exits]

    def predict(
        self, x: Tensor, policy: ExpertPolicy | None = None, chosen: NDArray[np.int64] | None = None
    ) -> ExpertPrediction:
        """Predict for inputs [N, ...], stopping early; see `predict_with_experts`."""
        return predict_with_experts(self, x, policy, chosen)

    def load_state_dict(self, *arguments: object, **options: object) -> object:
        """Load weights and drop the segments, which are rebuilt at their next use."""
        self._segments = {}
        return super().load_state_dict(*arguments, **options)  # type: ignore[arg-type]

    def _apply(self, fn: object, recurse: bool = True) -> "ExpertNetwork":
        self._segments = {}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_segments": {}}


def own_state(network: ExpertNetwork) -> dict[str, Any]:
    """Return the state of all experts but the first, with their own batch normalisation if they have it."""
    state: Mapping[str, Any] = network.experts.state_dict()
    exits = {f"experts.{name}": value for name, value in state.items() if not name.startswith("0.")}
    bodies = enumerate(network.bodies)
    return exits | {f"bodies.{index}.{key}": value for index, each in bodies for key, value in norm_state(each).items()}
