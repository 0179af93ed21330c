"""A backbone whose weights were given, prepared by measuring: kept, its classifier fitted, fine-tuned or trained."""

import copy
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import DivergedError
from eenas.frozen.frozen_head import linear_head, put_head, read_head
from eenas.frozen.linear_probe import MOST, LinearProbe, choose_penalty, fit_probe
from eenas.networks.network import EarlyExitNetwork
from eenas.percent import percent
from eenas.policies.proportions import right_more_often
from eenas.progress import Finished, Notice, Started
from eenas.seeding import derive
from eenas.study.context.backbone_training import Attempt, HeldOut, attempt, train_plain
from eenas.study.context.stages import Stages
from eenas.study.context.study_context import StudyContext
from eenas.tasks.split import Split
from eenas.tasks.splitting import hold_out

PHASE = "fitting the classifier on frozen features"
TRIED = 5000
"""Training samples on which the ways are compared at most; what wins is then done with all of train."""
WANTED = 200
"""Of these, held-out samples that decide, where a quarter is so many; a tenth where that is more."""
NOISE = 0.05
"""Training everything wins where chance alone would put it so far ahead less often than this."""
FEATURE_BYTES = 10**9
"""Features that are held in memory at most; of more samples a stratified part is taken."""


def prepare_given(context: StudyContext, network: EarlyExitNetwork, stages: Stages) -> tuple[bool, str]:
    """Prepare `network`, the plain one with the weights as given; whether they changed, and what was done in words.

    Where the backbone's own classifier is as good as one that is fitted on its features nothing is changed. Otherwise a
    classifier is fitted on the frozen features, and held against fine-tuning from there at `backbone_rate` times the
    learning rate and at the full one, on held-out training samples. Where the weights seem untrained it is held against
    training everything from them. What wins is done again with all of train. Each of these is kept in
    `stages`. Raises TimeOverError between and within them.
    """
    look, spec = context.look, context.settings.prepare
    if look.keeps_classifier:
        fitted = "" if look.fitted is None else f" (a classifier fitted on its features: {percent(look.fitted.mean())})"
        return False, f"kept as given, {percent(look.given.mean())} on {len(look.part)} training samples{fitted}"
    given = _words_of_given(context)
    name = linear_head(network.backbone, context.backbone.example().to(context.device))
    if name is None:
        train_plain(context, network, stages)
        return True, f"{given}, and its classifier is not one linear layer: trained on all of train"
    kept, held = _divided(context)
    context.listener(Started(PHASE))
    if context.is_fresh:  # other weights come with the command that goes on
        network.load_state_dict(stages.once("first", network.state_dict))
    head, scores = _read_fit(stages.once("head", lambda: _fit_table(*_fit(context, network, kept, held))))
    context.listener(Finished(PHASE, percent(scores.accuracy)))
    learnt = not look.seems_untrained
    rates = sorted({spec.backbone_rate, 1.0} if spec.backbone_rate else ()) if learnt else [1.0]
    first = {key: copy.deepcopy(value) for key, value in network.state_dict().items()}
    tried: dict[float, Attempt] = {}
    for rate in rates:
        network.load_state_dict(first)
        if learnt:
            put_head(network.backbone, name, head)
        try:
            tried[rate] = attempt(context, network, replace(context.task, train=kept), held, rate, stages)
        except DivergedError as error:
            context.listener(Notice(f"preparing at {rate:g} of the learning rate is left out: {error}"))
    won = _winner(scores, tried, known=context.backbone.weights not in ("none", "own"))
    network.load_state_dict(first)
    if learnt or won is None:
        again = stages.once("all", lambda: _fit_table(_refit(context, network, head, len(kept)), scores))
        put_head(network.backbone, name, _read_fit(again)[0])
    if won is not None:
        train_plain(context, network, stages, won, rounds=tried[won].round)
    return True, f"{given}{_words_of_ways(scores, tried, won, learnt)} on {len(held)} held-out training samples"


def _fit_table(head: LinearProbe, scores: HeldOut) -> dict[str, Any]:
    return {**vars(head), **scores.to_table()}


def _read_fit(table: Mapping[str, Any]) -> tuple[LinearProbe, HeldOut]:
    names = (each.name for each in fields(LinearProbe))
    return LinearProbe(**{name: table[name] for name in names}), HeldOut.read(table)


def _words_of_given(context: StudyContext) -> str:
    if context.backbone.fresh_classifier:
        return "new classifier"
    look = context.look
    level = "" if look.is_above_chance else ", which is chance"
    return f"given classifier {percent(look.given.mean())} on training samples{level}"


def _words_of_ways(head: HeldOut, tried: dict[float, Attempt], won: float | None, learnt: bool) -> str:
    kept = {rate: " (kept)" if rate == won else "" for rate in (None, *tried)}
    if not learnt and 1.0 not in tried:
        return f": head alone fitted {percent(head.accuracy)}{kept[None]}"
    if not learnt:
        return (
            f": everything trained {percent(tried[1.0].scores.accuracy)}{kept[1.0]}, "
            f"head alone fitted {percent(head.accuracy)}{kept[None]}"
        )
    found = f", head fitted on frozen features {percent(head.accuracy)}{kept[None]}"
    for rate, each in tried.items():
        at = "at the full rate" if rate == 1 else f"at {rate:g} of the rate"
        found += f", fine-tuned {at} {percent(each.scores.accuracy)}{kept[rate]}"
    return found


def _winner(head: HeldOut, tried: dict[float, Attempt], *, known: bool) -> float | None:
    """The rate that is kept, None for the classifier alone.

    The classifier alone stays where training everything is within noise of it, since few samples are easily learnt by
    heart; where nobody says that the weights were trained it has to be better, since branches need features.
    """
    best: float | None = None
    for rate, each in tried.items():
        if known:
            wins = right_more_often(each.scores.correct, head.correct) < NOISE
        else:
            wins = each.scores.accuracy >= head.accuracy
        if wins and (best is None or each.scores.beats(tried[best].scores)):
            best = rate
    return best


def _divided(context: StudyContext) -> tuple[Split, Split]:
    """Train, or a part of it, without the held-out samples, and these."""
    train, seed = context.task.train, derive(context.settings.seed, "prepare")
    train = train.subset(_some(train.labels, TRIED, seed))
    return train.held_out(max(0.1, min(0.25, WANTED / len(train))), seed)


def _fit(context: StudyContext, network: EarlyExitNetwork, kept: Split, held: Split) -> tuple[LinearProbe, HeldOut]:
    """A classifier fitted on the features of `kept`, and its scores on `held`."""
    seed, classes = derive(context.settings.seed, "prepare"), context.backbone.num_classes
    features, labels = _features(network, kept), torch.tensor(kept.labels)
    some = _some(kept.labels, MOST, seed)
    penalty, _ = choose_penalty(features[some], labels[some], classes, seed=seed)
    probe = fit_probe(features, labels, classes, penalty * len(some) / len(labels))
    return probe, HeldOut.of(probe.logits(_features(network, held)), held.labels)


def _refit(context: StudyContext, network: EarlyExitNetwork, head: LinearProbe, fitted_on: int) -> LinearProbe:
    """The classifier fitted on all of train, or as much of it as FEATURE_BYTES hold, with as strong a prior."""
    train = context.task.train
    bytes_each = 4 * head.weight.shape[1]
    some = train.subset(_some(train.labels, FEATURE_BYTES // bytes_each, derive(context.settings.seed, "prepare")))
    penalty = head.penalty * fitted_on / len(some)
    return fit_probe(_features(network, some), torch.tensor(some.labels), context.backbone.num_classes, penalty)


def _features(network: EarlyExitNetwork, split: Split) -> Tensor:
    found = read_head(network.backbone, network.transform, split).features
    assert found is not None  # there is a linear head
    return found


def _some(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Positions of all samples, or of a stratified part of about `most`."""
    return np.arange(len(labels)) if len(labels) <= most else hold_out(labels, most / len(labels), seed)[1]
