"""The network with expert branches: a frozen backbone, and a set of exits for each kind of distortion."""

from collections.abc import Sequence

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
from eenas.networks.network import Branches, EarlyExitNetwork, exit_logits
from eenas.networks.partly_frozen import PartlyFrozen
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier


class ExpertNetwork(PartlyFrozen):
    """An early-exit network with experts for distorted images (Pacheco, Oliveira and Couto 2021).

    All experts share the backbone, which is frozen in eval mode, batch normalisation included. Each has its own copy of
    every branch and of the backbone's last layer. The `classifier` chooses the expert of each sample before the first
    exit; its first kind is that of clean images, whose expert is the network that was given.

    `final_layer` is the name of the Linear layer that outputs the backbone's logits. With None the layers behind the
    last cut point are shared by all experts. `policy` holds the temperatures and thresholds of each expert. Raises
    DesignError if the classifier does not fit the network.
    """

    def __init__(
        self,
        base: EarlyExitNetwork,
        classifier: DistortionClassifier,
        *,
        final_layer: str | None = None,
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
        self.body = copy_of(base.backbone)
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
        self.keep_in_eval(self.body.modules())
        self.train(False)
        self._segments: list[tuple[nn.Module, ...]] = []  # in a list, since nn.Module would register them again

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

    def segments(self, example: Tensor) -> tuple[nn.Module, ...]:
        """Return the backbone in K segments that end at the exits, in eval mode; the last one gives what heads read."""
        if not self._segments:
            lay_out(self, self.memory_format)
            chain = Chain.built_from(self.body, example[:1], self.cut_points)
            self._segments.append(tuple(chain.segments)[: len(self.exits)])
        return self._segments[0]

    @torch.no_grad()
    def features(self, x: Tensor) -> list[Tensor]:
        """Return the features of inputs [N, *shape] at each exit, which all experts read."""
        found, features = [], laid(x, self.memory_format)
        for segment in self.segments(x):
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
        features = self.features(x) if len(x) else []
        found: list[Tensor] | None = None
        for number in np.unique(experts).tolist():
            rows = torch.from_numpy(np.flatnonzero(experts == number)).to(x.device)
            logits = [each.float() for each in self.expert_logits(number, [each[rows] for each in features])]
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
        self._segments = []
        return super().load_state_dict(*arguments, **options)  # type: ignore[arg-type]

    def _apply(self, fn: object, recurse: bool = True) -> "ExpertNetwork":
        self._segments = []
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_segments": []}
