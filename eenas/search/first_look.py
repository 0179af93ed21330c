"""What a backbone's weights are worth before anything is trained, measured on some training samples."""

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eenas.backbones.load import Backbone
from eenas.policies.proportions import above_chance, largest_share, right_more_often
from eenas.seeding import derive, seeded
from eenas.tasks.split import Split
from eenas.training.frozen_head import FrozenHead, read_head, with_random_weights
from eenas.training.linear_probe import choose_penalty

SAMPLES = 600
SURE = 0.001
"""A classifier is above chance where guessing would do as well less often than this."""
WINS = 0.01
LEARNT = 0.05
TWINS = 3
"""Networks with random weights; one alone may happen to have good features."""
_CLEARLY = 0.25


@dataclass(frozen=True)
class FirstLook:
    """A backbone on at most SAMPLES samples of train, whose own classifier counts unless it is fresh.

    What is compared are right answers on the same samples: those of its own classifier, of a linear classifier fitted
    on its frozen features (each sample by one that has not seen it), and of one fitted on the features of the same
    architecture with random weights.
    """

    backbone: Backbone
    train: Split
    device: torch.device
    seed: int

    @cached_property
    def part(self) -> Split:
        """The samples."""
        if len(self.train) <= SAMPLES:
            return self.train
        return self.train.held_out(SAMPLES / len(self.train), seed=self.seed)[1]

    @cached_property
    def chance(self) -> float:
        """The share of the largest class."""
        return largest_share(self.part.labels)

    @cached_property
    def given(self) -> NDArray[np.bool_]:
        """Whether its own classifier is right [N]."""
        return self._read[0]

    @cached_property
    def fitted(self) -> NDArray[np.bool_] | None:
        """Whether one fitted on its features is right [N]; None where its classifier is not one Linear layer."""
        return self._fit(self._read[1])

    @cached_property
    def random(self) -> NDArray[np.bool_] | None:
        """The same on the features of random weights, of TWINS networks the one where most are right."""
        found = []
        for number in range(TWINS):
            with seeded(derive(self.seed, "random weights", number)):
                twin = with_random_weights(self.backbone.module)
            if (fitted := self._fit(self._head_of(twin).features)) is None:
                return None
            found.append(fitted)
        return max(found, key=lambda right: int(right.sum()))

    @property
    def is_above_chance(self) -> bool:
        """Whether its own classifier came with the weights and answers better than chance."""
        if self.backbone.untrained or self.backbone.fresh_classifier:
            return False
        return above_chance(int(self.given.sum()), len(self.given), self.chance) < SURE

    @property
    def keeps_classifier(self) -> bool:
        """Whether its own classifier is above chance and none that is fitted on its features is better."""
        if not self.is_above_chance:
            return False
        if self.fitted is None:
            return bool(self.given.mean() >= self.chance + _CLEARLY * (1 - self.chance))
        return right_more_often(self.fitted, self.given) >= WINS

    @property
    def knows_task(self) -> bool:
        """Whether its own classifier was trained for these classes, and so has probably seen the train source."""
        if not self.is_above_chance:
            return False
        best = 1.0 if self.fitted is None else float(self.fitted.mean())
        share = _CLEARLY if self.fitted is None else 0.5
        return bool(self.given.mean() - self.chance >= share * (best - self.chance))

    @property
    def has_learnt(self) -> bool:
        """Whether its features are better than those of random weights, or it cannot be told."""
        if self.fitted is None or self.random is None:
            return not self.backbone.untrained and self.backbone.weights not in ("none", "own")
        return right_more_often(self.fitted, self.random) < LEARNT

    @cached_property
    def _read(self) -> tuple[NDArray[np.bool_], torch.Tensor | None]:
        head = self._head_of(copy.deepcopy(self.backbone.module))
        return head.correct(self.part.labels), head.features

    def _head_of(self, module: nn.Module) -> FrozenHead:
        return read_head(module.to(self.device), self.backbone.transform, self.part)

    def _fit(self, features: torch.Tensor | None) -> NDArray[np.bool_] | None:
        if features is None:
            return None
        labels = torch.tensor(self.part.labels)
        _, logits = choose_penalty(features, labels, self.backbone.num_classes, seed=self.seed)
        return np.asarray(logits.argmax(axis=1) == self.part.labels)
