"""A backbone whose weights were given, prepared by measuring: kept, its classifier fitted, fine-tuned or trained."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.networks.network import EarlyExitNetwork
from eenas.progress import Finished, Started
from eenas.search.backbone_training import HeldOut, attempt, train_plain
from eenas.search.preparation import Ground
from eenas.seeding import derive
from eenas.tasks.split import Split
from eenas.tasks.splitting import hold_out
from eenas.training.frozen_head import FrozenHead, linear_head, put_head, read_head
from eenas.training.linear_probe import MOST, LinearProbe, choose_penalty, fit_probe

PHASE = "fitting the classifier on frozen features"
FEATURE_BYTES = 10**9
"""Features that are held in memory at most; of more samples a stratified part is taken."""
WANTED = 200
"""Held-out samples that decide, where a quarter of train has so many; a tenth of train where that is more."""


def prepare_given(ground: Ground, network: EarlyExitNetwork) -> tuple[bool, str]:
    """Prepare `network`, the plain one with the weights as given; whether they changed, and what was done in words.

    Where the backbone's own classifier is as good as one that is fitted on its features nothing is changed. Otherwise
    the classifier is fitted on frozen features, held against fine-tuning from there at a low rate (or, where the
    features are no better than random ones, against training at the full rate) on held-out training samples, and what
    wins is kept. Where few samples were left, the winner is made again with the held-out ones.
    """
    look, given = ground.look, _words_of_given(ground)
    if look.keeps_classifier:
        fitted = "" if look.fitted is None else f" (a classifier fitted on its features: {look.fitted.mean():.1%})"
        return False, f"kept as given, {look.given.mean():.1%} on {len(look.part)} training samples{fitted}"
    parts = _divided(ground)
    name = linear_head(network.backbone, ground.backbone.example().to(ground.device))
    if name is None:
        train_plain(ground, network)
        return True, f"{given}, and its classifier is not one linear layer: trained on all of train"
    ground.listener(Started(PHASE))
    head = _Head.of(ground, network, parts)
    ground.listener(Finished(PHASE, f"{head.scores.accuracy:.1%}"))
    learnt = look.has_learnt
    rate = ground.settings.prepare.backbone_rate if learnt else 1.0
    held = f"on {len(parts.held)} held-out training samples"
    said = f"{given}, head fitted on frozen features {head.scores.accuracy:.1%}"
    if not learnt:
        said = f"{given} and features no better than random ones, head fitted on them {head.scores.accuracy:.1%}"
    if rate == 0:
        head.put_whole(network, name)
        return True, f"{said} {held}"
    first = {key: value.detach().clone() for key, value in network.state_dict().items()}
    if learnt:
        put_head(network.backbone, name, head.probe)
    tried = attempt(ground, network, replace(ground.task, train=parts.kept), parts.held, rate)
    assert tried.scores is not None
    won = tried.scores.beats(head.scores) if learnt else tried.scores.accuracy >= head.scores.accuracy
    if not won or parts.is_few:
        network.load_state_dict(first)
        if learnt or not won:
            head.put_whole(network, name)
        if won:
            train_plain(ground, network, rate, rounds=tried.round)
    verb = "fine-tuned" if learnt else "trained"
    return True, f"{said}, {verb} {tried.scores.accuracy:.1%} ({'kept' if won else 'not kept'}) {held}"


def _words_of_given(ground: Ground) -> str:
    if ground.backbone.fresh_classifier:
        return "new classifier"
    look = ground.look
    level = "" if look.is_above_chance else ", which is chance"
    return f"its own classifier {look.given.mean():.1%} on training samples{level}"


@dataclass(frozen=True, eq=False)
class _Parts:
    """Train divided: what is fitted on, and what decides."""

    kept: Split
    held: Split
    kept_rows: NDArray[np.int64]
    held_rows: NDArray[np.int64]

    @property
    def is_few(self) -> bool:
        """Whether more than a tenth is held out, which is too much to leave out in the end."""
        return len(self.held) * 9 > len(self.kept) + 9


def _divided(ground: Ground) -> _Parts:
    train = ground.task.train
    share = max(0.1, min(0.25, WANTED / len(train)))
    kept, held = hold_out(train.labels, share, derive(ground.settings.seed, "prepare"))
    return _Parts(train.subset(kept), train.subset(held, "tune"), kept, held)


@dataclass(frozen=True, eq=False)
class _Head:
    """A classifier fitted on the kept part of train, with its scores on the held-out part, and all that was read."""

    probe: LinearProbe
    scores: HeldOut
    features: Tensor
    labels: Tensor
    classes: int

    @classmethod
    def of(cls, ground: Ground, network: EarlyExitNetwork, parts: _Parts) -> "_Head":
        seed, classes = derive(ground.settings.seed, "prepare"), ground.backbone.num_classes
        held = _features(ground, network, parts.held, seed)
        kept = _features(ground, network, parts.kept, seed)
        (features, labels), (held_features, held_labels) = kept, held
        some = _some(labels.numpy(), MOST, seed)
        penalty, _ = choose_penalty(features[some], labels[some], classes, seed=seed)
        probe = fit_probe(features, labels, classes, penalty * len(some) / len(labels))
        scores = HeldOut.of(probe.logits(held_features), held_labels.numpy())
        both, theirs = torch.cat([features, held_features]), torch.cat([labels, held_labels])
        return cls(probe, scores, both, theirs, classes)

    def put_whole(self, network: EarlyExitNetwork, name: str) -> None:
        """Give the network the classifier that is fitted on all that was read, the held-out part with it."""
        fitted_on = len(self.labels) - len(self.scores.correct)
        put_head(
            network.backbone,
            name,
            fit_probe(self.features, self.labels, self.classes, self.probe.penalty * fitted_on / len(self.labels)),
        )


def _features(ground: Ground, network: EarlyExitNetwork, split: Split, seed: int) -> tuple[Tensor, Tensor]:
    """Features [N, D] and labels [N] of a split, or of as much of it as FEATURE_BYTES hold."""
    first: FrozenHead = read_head(network.backbone, network.transform, split.subset(np.arange(1)))
    assert first.features is not None
    some = _some(split.labels, FEATURE_BYTES // (4 * first.features.shape[1]), seed)
    taken = split.subset(some)
    read = read_head(network.backbone, network.transform, taken)
    assert read.features is not None
    return read.features, torch.tensor(taken.labels)


def _some(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Positions of all samples, or of a stratified part of at most `most`."""
    if len(labels) <= most:
        return np.arange(len(labels))
    return hold_out(labels, most / len(labels), seed)[1]
