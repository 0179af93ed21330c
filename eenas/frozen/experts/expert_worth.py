"""The worth of each expert: accuracy with and without it on each kind and severity, and who answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from eenas.frozen.experts.expert_calibration import pictures_of
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.expert_tables import routed_table
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import logits_of
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.tasks.distortions.contexts import CLEAN, context_of, kind_of
from eenas.tasks.split import Split


@dataclass(frozen=True, kw_only=True)
class ContextWorth:
    """The figures of one context, such as "gaussian_blur:3", on one split.

    `accuracy` and `macs` (the mean of a sample, the classifier included) are those of the network with experts, with
    the classifier's mistakes. `plain_accuracy` and `plain_macs` are those of the network without experts, with
    thresholds from clean calibration images. `chosen` [experts] are the shares of samples that each expert answers.
    """

    context: str
    accuracy: float
    macs: float
    plain_accuracy: float
    plain_macs: float
    chosen: tuple[float, ...]

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "chosen": list(self.chosen)}


@dataclass(frozen=True, kw_only=True)
class KindWorth:
    """The worth of an expert: the means of `ContextWorth` over the severities of its kind.

    `chosen` [experts] are the shares of its images that each expert answers.
    """

    expert: str
    accuracy: float
    macs: float
    plain_accuracy: float
    plain_macs: float
    chosen: tuple[float, ...]


def worth_of_kinds(names: Sequence[str], contexts: Sequence[ContextWorth]) -> tuple[KindWorth, ...]:
    """Return the worth of each of the experts `names`, the first of which is that for clean images."""
    found = []
    for number, name in enumerate(names):
        own = [each for each in contexts if kind_of(each.context) == (name if number else CLEAN)]
        found.append(
            KindWorth(
                expert=name,
                accuracy=fmean(each.accuracy for each in own),
                macs=fmean(each.macs for each in own),
                plain_accuracy=fmean(each.plain_accuracy for each in own),
                plain_macs=fmean(each.plain_macs for each in own),
                chosen=tuple(fmean(shares) for shares in zip(*(each.chosen for each in own), strict=True)),
            )
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """A network with experts and the network without them, each with its policy and the costs of its exits."""

    network: ExpertNetwork
    policy: ExpertPolicy
    costs: ExitCosts
    plain: EarlyExitNetwork
    plain_policy: Policy
    plain_costs: ExitCosts


def worth_of_experts(contest: Contest, split: Split, severities: Sequence[int], *, seed: int = 0) -> list[ContextWorth]:
    """Return the figures of clean images and of each kind at each severity on a split."""
    network = contest.network
    cells: list[tuple[str | None, int]] = [(None, 0)]
    cells += [(kind, severity) for kind in network.names[1:] for severity in severities]
    found = []
    for kind, severity in cells:
        batches = list(pictures_of(split, network.transform.inputs, kind, severity, seed=seed))
        table = routed_table(network, batches, contest.costs, balanced=split.balanced)
        plain = ExitTable(
            logits=np.concatenate([logits_of(contest.plain, images) for images, _, _ in batches]),
            labels=table.labels,
            exits=table.exits,
            costs=contest.plain_costs.costs,
            balanced=split.balanced,
        )
        own, other = evaluate(contest.policy, table), evaluate(contest.plain_policy, plain)
        counts = np.bincount(table.chosen, minlength=len(network.names))
        found.append(
            ContextWorth(
                context=CLEAN if kind is None else context_of(kind, severity),
                accuracy=own.accuracy,
                macs=own.expected[MACS],
                plain_accuracy=other.accuracy,
                plain_macs=other.expected[MACS],
                chosen=tuple((counts / len(table)).tolist()),
            )
        )
    return found
