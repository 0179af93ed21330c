"""Preparing a backbone with given weights: it is kept, gets a fitted classifier, is fine-tuned, or is trained."""

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
from eenas.study.context.backbone.backbone_training import Attempt, HeldOut, attempt, train_plain
from eenas.study.context.stages import Stages
from eenas.study.context.study_context import StudyContext
from eenas.tasks.split import Split
from eenas.tasks.splitting import hold_out

PHASE = "fitting the classifier on frozen features"
COMPARISON_SAMPLES = 5000
"""The number of training samples for comparing the methods. The best one is then applied to all of train."""
HELD_OUT_SAMPLES = 200
"""The number of these samples that are held out, as far as a quarter allows; at least a tenth is held out."""
SIGNIFICANCE = 0.05
"""The significance level at which training everything beats the classifier alone."""
FEATURE_BYTES = 10**9
"""The memory for features in bytes. For more samples, a stratified part is used."""


def prepare_given(context: StudyContext, network: EarlyExitNetwork, stages: Stages) -> tuple[bool, str]:
    """Prepare `network`, the plain one with the given weights. Return whether the weights changed, and a description.

    Nothing changes if the backbone's own classifier is as good as one fitted to its features. Otherwise, a classifier
    is fitted to the frozen features and compared, on held-out training samples, with fine-tuning from there at
    `backbone_rate` times the learning rate and at the full one. If the weights seem untrained, it is compared with
    training everything from them. The best method is repeated on all of train. Each step is kept in `stages`.

    Raises TimeOverError between and within the steps.
    """
    look, spec = context.look, context.settings.prepare
    if look.keeps_classifier:
        fitted = "" if look.fitted is None else f" (a classifier fitted on its features: {percent(look.fitted.mean())})"
        return False, f"kept as given, {percent(look.given.mean())} on {len(look.part)} training samples{fitted}"
    given = _describe_given(context)
    name = linear_head(network.backbone, context.backbone.example().to(context.device))
    if name is None:
        train_plain(context, network, stages)
        return True, f"{given}, and its classifier is not one linear layer: trained on all of train"
    kept, held = _divided(context)
    context.listener(Started(PHASE))
    if context.is_fresh:  # a resumed command draws other weights
        network.load_state_dict(stages.once("first", network.state_dict))
    head, scores = _read_fit(stages.once("head", lambda: _fit_table(*_fit(context, network, kept, held))))
    context.listener(Finished(PHASE, percent(scores.accuracy)))
    trained = not look.seems_untrained
    rates = sorted({spec.backbone_rate, 1.0} if spec.backbone_rate else ()) if trained else [1.0]
    first = {key: copy.deepcopy(value) for key, value in network.state_dict().items()}
    tried: dict[float, Attempt] = {}
    for rate in rates:
        network.load_state_dict(first)
        if trained:
            put_head(network.backbone, name, head)
        try:
            tried[rate] = attempt(context, network, replace(context.task, train=kept), held, rate, stages)
        except DivergedError as error:
            context.listener(Notice(f"preparing at {rate:g} times the learning rate is left out: {error}"))
    won = _winner(scores, tried, known=context.backbone.weights not in ("none", "own"))
    network.load_state_dict(first)
    if trained or won is None:
        again = stages.once("all", lambda: _fit_table(_refit(context, network, head, len(kept)), scores))
        put_head(network.backbone, name, _read_fit(again)[0])
    if won is not None:
        train_plain(context, network, stages, won, rounds=tried[won].round)
    return True, f"{given}{_describe_attempts(scores, tried, won, trained)} on {len(held)} held-out training samples"


def _fit_table(head: LinearProbe, scores: HeldOut) -> dict[str, Any]:
    return {**vars(head), **scores.to_table()}


def _read_fit(table: Mapping[str, Any]) -> tuple[LinearProbe, HeldOut]:
    names = (each.name for each in fields(LinearProbe))
    return LinearProbe(**{name: table[name] for name in names}), HeldOut.read(table)


def _describe_given(context: StudyContext) -> str:
    if context.backbone.fresh_classifier:
        return "new classifier"
    look = context.look
    level = "" if look.is_above_chance else ", at chance level"
    return f"given classifier {percent(look.given.mean())} on training samples{level}"


def _describe_attempts(head: HeldOut, tried: dict[float, Attempt], won: float | None, trained: bool) -> str:
    kept = {rate: " (kept)" if rate == won else "" for rate in (None, *tried)}
    if not trained and 1.0 not in tried:
        return f": head alone fitted {percent(head.accuracy)}{kept[None]}"
    if not trained:
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
    """Return the learning rate that is kept, or None for the fitted classifier alone.

    For weights with known training, the classifier alone stays unless training everything is significantly better,
    since few samples are easily memorised. Otherwise, training everything wins if it is as good, since branches need
    features.
    """
    best: float | None = None
    for rate, each in tried.items():
        if known:
            wins = right_more_often(each.scores.correct, head.correct) < SIGNIFICANCE
        else:
            wins = each.scores.accuracy >= head.accuracy
        if wins and (best is None or each.scores.beats(tried[best].scores)):
            best = rate
    return best


def _divided(context: StudyContext) -> tuple[Split, Split]:
    """Return train, or a part of it, without the held-out samples, and the held-out samples."""
    train, seed = context.task.train, derive(context.settings.seed, "prepare")
    train = train.subset(_some(train.labels, COMPARISON_SAMPLES, seed))
    return train.held_out(max(0.1, min(0.25, HELD_OUT_SAMPLES / len(train))), seed)


def _fit(context: StudyContext, network: EarlyExitNetwork, kept: Split, held: Split) -> tuple[LinearProbe, HeldOut]:
    """Return a classifier fitted to the features of `kept`, and its results on `held`."""
    seed, classes = derive(context.settings.seed, "prepare"), context.backbone.num_classes
    features, labels = _features(network, kept), torch.tensor(kept.labels)
    some = _some(kept.labels, MOST, seed)
    penalty, _ = choose_penalty(features[some], labels[some], classes, seed=seed)
    probe = fit_probe(features, labels, classes, penalty * len(some) / len(labels))
    return probe, HeldOut.of(probe.logits(_features(network, held)), held.labels)


def _refit(context: StudyContext, network: EarlyExitNetwork, head: LinearProbe, fitted_on: int) -> LinearProbe:
    """Return the classifier fitted to all of train, as far as FEATURE_BYTES allow, with an equally strong prior."""
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
    """Return the positions of all samples, or of a stratified part of about `most`."""
    return np.arange(len(labels)) if len(labels) <= most else hold_out(labels, most / len(labels), seed)[1]
