"""The codec of features on the links of a run: measured at its split, and replaced by a larger one if it loses much."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eenas.measurement.tiers.link import Codec, Link
from eenas.networks.coded_tables import Code, coded_table
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import evaluate
from eenas.programs.remote.feature_codec import decode_features, encode_features
from eenas.progress import Notice
from eenas.results.choice import Chosen
from eenas.runs.codecs.codec_report import CodecReport
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.scores import policy_within
from eenas.tier_names import CLOUD_ONLY, EDGE_ONLY, TierSplit

ACCEPTED_LOSS = 0.005
"""The accuracy on validation that a codec may cost: half a point."""
_LARGER: dict[Codec, Codec] = {"int8": "float16", "float16": "float32"}


@dataclass(frozen=True)
class Coded:
    """The context of a run with the codecs chosen, and the report on them."""

    context: StudyContext
    report: CodecReport


def choose_codec(context: StudyContext, network: EarlyExitNetwork, chosen: Chosen) -> Coded | None:
    """Return the codecs for the links of a fully trained network, or None without tiers or with float32 on all links.

    The codecs of the study are measured at the best split of the network's policy, on validation. While they lose more
    than ACCEPTED_LOSS, the next larger one is tried: float16 after int8, then float32, which loses nothing. The split
    is found again for each.
    """
    if context.tiers is None or all(link.codec == "float32" for link in context.tiers.tiers.links):
        return None
    design, task = chosen.design, context.task
    stated = context.tiers.tiers.links
    splits = ("calibration", "validation")
    tables = {name: exit_table(network, task.split(name), context.costs(design)) for name in splits}
    policy = policy_within(
        Fitting(tables["calibration"], design.policy),
        chosen.limits,
        target_macs=design.policy.target_macs,
        backbone_macs=float(context.profile.total_macs),
    )
    for links in _larger_and_larger(stated):
        tried = replace(context, tiers=replace(context.tiers, tiers=replace(context.tiers.tiers, links=links)))
        costs = tried.costs(design)
        point = evaluate(policy, replace(tables["validation"], costs=costs.costs))
        codes = _codes(point.split, links)
        on_validation = evaluate(policy, coded_table(network, task.validation, costs, codes))
        loss = point.accuracy - on_validation.accuracy
        if loss <= ACCEPTED_LOSS:
            break
        words = ", ".join(link.codec for link in links)
        context.listener(
            Notice(f"features as {words} lose {100 * loss:.1f} points on validation; larger ones are tried")
        )
    there = evaluate(policy, exit_table(network, task.test, costs)).split  # where the report splits the test samples
    report = CodecReport(
        codecs=tuple(link.codec for link in links),
        stated=tuple(link.codec for link in stated),
        loss=loss,
        codec_accuracy=evaluate(policy, coded_table(network, task.test, costs, _codes(there, links))).accuracy,
    )
    return Coded(tried, report)


def _larger_and_larger(links: tuple[Link, ...]) -> Iterator[tuple[Link, ...]]:
    """Yield the links as stated, then with the next larger codec each, until all send float32."""
    while True:
        yield links
        if all(link.codec == "float32" for link in links):
            return
        links = tuple(replace(link, codec=_LARGER.get(link.codec, "float32")) for link in links)


def _codes(split: TierSplit | None, links: Sequence[Link]) -> dict[str, Code]:
    """Return what happens to the features at each cut point of a split, where anything does."""
    names = (split,) if isinstance(split, str) else split or ()
    found: dict[str, Code] = {}
    for name, link in zip(names, links, strict=True):
        if name not in (CLOUD_ONLY, EDGE_ONLY) and link.codec != "float32":
            found[name] = _code(link.codec, found.get(name))
    return found


def _code(codec: str, before: Code | None) -> Code:
    def code(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return decode_features(encode_features(features if before is None else before(features), codec))

    return code
