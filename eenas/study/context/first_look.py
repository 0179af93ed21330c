"""The value of a backbone's initial weights for the task, measured on some training samples."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.backbones.copies import copy_of
from eenas.backbones.load import Backbone
from eenas.frozen.frozen_head import read_head
from eenas.frozen.linear_probe import choose_penalty
from eenas.policies.proportions import above_chance, largest_share, right_more_often
from eenas.tasks.split import Split

SAMPLES = 600
SIGNIFICANCE = 0.001
"""The significance level of the test that a classifier is above chance."""
BETTER_SIGNIFICANCE = 0.01
_CLEARLY = 0.25


@dataclass(frozen=True)
class FirstLook:
    """A backbone evaluated on at most SAMPLES samples of train.

    It compares the correct predictions of the backbone's own classifier with those of a linear classifier on its frozen
    features, cross-fitted so that no sample is predicted by a classifier that was fitted to it.
    """

    backbone: Backbone
    train: Split
    device: torch.device
    seed: int

    @cached_property
    def part(self) -> Split:
        """The samples for the evaluation."""
        if len(self.train) <= SAMPLES:
            return self.train
        return self.train.held_out(SAMPLES / len(self.train), seed=self.seed)[1]

    @cached_property
    def chance(self) -> float:
        """The share of the largest class."""
        return largest_share(self.part.labels)

    @cached_property
    def given(self) -> NDArray[np.bool_]:
        """Whether the backbone's own classifier is correct, [N]."""
        return self._read[0]

    @cached_property
    def fitted(self) -> NDArray[np.bool_] | None:
        """Whether a classifier fitted to its features is correct, [N].

        None if the backbone's own classifier is not one linear layer.
        """
        return self._fit(self._read[1])

    @property
    def is_above_chance(self) -> bool:
        """Whether the backbone's own classifier came with the weights and is better than chance."""
        if self.backbone.untrained or self.backbone.fresh_classifier:
            return False
        return above_chance(int(self.given.sum()), len(self.given), self.chance) < SIGNIFICANCE

    @property
    def keeps_classifier(self) -> bool:
        """Whether the backbone's own classifier is above chance and none fitted to its features is better."""
        if not self.is_above_chance:
            return False
        if self.fitted is None:
            return bool(self.given.mean() >= self.chance + _CLEARLY * (1 - self.chance))
        return right_more_often(self.fitted, self.given) >= BETTER_SIGNIFICANCE

    @property
    def knows_task(self) -> bool:
        """Whether the backbone's own classifier was trained for these classes, and so probably on the train source."""
        if not self.is_above_chance:
            return False
        best = 1.0 if self.fitted is None else float(self.fitted.mean())
        share = _CLEARLY if self.fitted is None else 0.5
        return bool(self.given.mean() - self.chance >= share * (best - self.chance))

    @property
    def seems_untrained(self) -> bool:
        """Whether the weights have no known training, and the classifier that came with them is at chance level."""
        known = self.backbone.weights not in ("none", "own")
        return not known and not self.backbone.fresh_classifier and not self.is_above_chance

    @cached_property
    def _read(self) -> tuple[NDArray[np.bool_], torch.Tensor | None]:
        module = copy_of(self.backbone.module, device=self.device)
        head = read_head(module, self.backbone.transform, self.part)
        return head.correct(self.part.labels), head.features

    def _fit(self, features: torch.Tensor | None) -> NDArray[np.bool_] | None:
        if features is None:
            return None
        labels = torch.tensor(self.part.labels)
        _, logits = choose_penalty(features, labels, self.backbone.num_classes, seed=self.seed)
        return np.asarray(logits.argmax(axis=1) == self.part.labels)
