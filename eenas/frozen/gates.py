"""Placement by learned gates: hard-concrete gates on all candidate branches, with the policy inside the loss."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eenas.errors import TrainingError
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.descent import descend
from eenas.frozen.subsets import THRESHOLDS, Evaluation, Subset, SubsetObjective

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
"""The temperature and the stretched interval of the hard-concrete distribution."""
BOUND = math.log(1e2)
"""Gate parameters stay within [-BOUND, BOUND]."""
FIRST_THRESHOLD = 0.8
"""The initial threshold if it is learned with the gates."""


@dataclass(frozen=True, kw_only=True)
class GateFit:
    """The result of learning gates.

    `raw` is the choice of the gates, `chosen` the choice after polishing by single flips, each with its evaluation.
    `openness` [cut points] is the probability that the gate of a cut point is open; `structures` [O] the probability of
    each candidate among those of its cut point; `flips` the number of flips in polishing. `fallback` is one line that
    names the starting choice if all gates closed, else empty.
    """

    raw: Subset
    raw_evaluation: Evaluation
    chosen: Subset
    evaluation: Evaluation
    openness: tuple[float, ...]
    structures: tuple[float, ...]
    flips: int
    fallback: str = ""


@dataclass(frozen=True, kw_only=True)
class GateTraining:
    """How gates are learned: the number of steps, the samples of each, and the learning rate of Adam."""

    steps: int = 600
    batch_size: int = 512
    learning_rate: float = 0.05


USUAL = GateTraining()


def fit_gates(
    table: CandidateTable,
    *,
    cost_weight: float,
    count: int = 0,
    most: int | None = None,
    threshold: float | None = None,
    training: GateTraining = USUAL,
    seed: int = 0,
) -> GateFit:
    """Find the branches that maximise J = accuracy - `cost_weight` * expected relative cost by gradient.

    J is that of `SubsetObjective`. Every cut point p has a hard-concrete gate (Louizos, Welling and Kingma 2018,
    equations 10 and 11), sampled per example, and every structure f at it a weight. Among several structures one is
    taken at a time by straight-through Gumbel-softmax (Jang, Gu and Poole 2017) at a temperature that falls from 5 to
    0.5. With `e_p = g_p sigmoid((s_p - t) / T)`, `S_p = prod_{q<p} (1 - e_q)` and the temperature T falling from 0.1 to
    0.01, the loss is the expected error plus the expected cost of the final policy,

        sum_p S_p e_p [y_p != y] + S_K [y_K != y] + cost_weight (sum_p S_p e_p b_p + S_K + sum_p S_p g_p a_p).

    The threshold t is learned too (from 0.8) unless `threshold` fixes it. The cost weight rises over the first fifth of
    the steps, so that gates do not close before their branches were of use. A `count` above 0 adds the squared distance
    between it and the expected number of open gates, with a weight that rises from 0 to 1.

    The result has the cut points whose gate is open without noise, at most `most` (with `count`: the `count`
    likeliest), or the best single branch if no gate is open. Single flips then polish the choice on the table. The
    branches are not trained. Raises TrainingError if no choice is possible or the loss is not finite.
    """
    places = len(table.groups)
    limit = min(places, most if most is not None else places)
    if not 0 <= count <= limit or limit < 1:
        raise TrainingError(f"the number of branches must be 0 (any) or from 1 to {limit}, got {count}")
    objective = SubsetObjective(
        table=table, cost_weight=cost_weight, thresholds=THRESHOLDS if threshold is None else (float(threshold),)
    )
    gates = _Gates(table, learned=threshold is None, start=FIRST_THRESHOLD if threshold is None else float(threshold))
    batch = min(training.batch_size, len(table))
    gates.fit(cost_weight, count, training.steps, batch, training.learning_rate, seed)
    opened, openness = gates.opened(), gates.openness()
    ranked = sorted(range(places), key=lambda place: (-openness[place], place))
    kept = ranked[:count] if count else [place for place in ranked if opened[place]][:limit]
    structures = gates.structures()
    raw = tuple(max(table.groups[place], key=lambda option: structures[option]) for place in sorted(kept))
    fallback = ""
    if not raw:
        raw = objective.single()
        name = table.names[raw[0]]
        fallback = f"every gate closed (cost_weight {cost_weight:g}); started from the best single branch, {name}"
    chosen, evaluation, flips = objective.polish(raw, most=limit, count=count)
    return GateFit(
        raw=raw,
        raw_evaluation=objective.evaluate(raw),
        chosen=chosen,
        evaluation=evaluation,
        openness=tuple(openness),
        structures=tuple(structures),
        flips=flips,
        fallback=fallback,
    )


class _Gates:
    """The gates of one table: `[P, F]` candidates by cut point, padded if a cut point has fewer structures."""

    def __init__(self, table: CandidateTable, *, learned: bool, start: float) -> None:
        self.table = table
        widest = max(len(group) for group in table.groups)
        grid = [[*group, *[-1] * (widest - len(group))] for group in table.groups]
        self.grid = torch.tensor(grid)
        self.there = self.grid >= 0
        index = self.grid.clamp(min=0)
        self.confidences = torch.from_numpy(table.confidences()).float()[:, index]
        wrong = 1.0 - torch.from_numpy(table.correct).float()
        self.wrong, self.wrong_at_last = wrong[:, :-1][:, index], wrong[:, -1]
        total = table.total_macs
        self.backbone_cost = torch.tensor(table.backbone_macs[:-1] / total).float()[index[:, 0]]
        self.branch_cost = torch.tensor(table.branch_macs / total).float()[index]
        self.gate = torch.full((len(table.groups),), 2.0, requires_grad=True)
        self.weight = torch.zeros(index.shape, requires_grad=True)
        logit = math.log(start / (1 - start)) if 0 < start < 1 else 0.0
        self.threshold_logit = torch.tensor(logit, requires_grad=learned)
        self.start, self.learned = start, learned

    def fit(self, cost_weight: float, count: int, steps: int, batch: int, rate: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        parameters = [each for each in (self.gate, self.weight, self.threshold_logit) if each.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99))
        for step in range(steps):
            progress = step / max(1, steps - 1)
            rows = torch.randperm(len(self.table), generator=generator)[:batch]
            error, cost = self._policy(rows, progress, generator)
            loss = error + cost_weight * min(1.0, 5 * progress) * cost
            if count:
                loss = loss + progress * (self._open_probability().sum() - count) ** 2
            if not descend(loss, optimizer):
                raise TrainingError("the loss of the gates is not finite; lower placement.cost_weight")
            with torch.no_grad():
                self.gate.clamp_(-BOUND, BOUND)

    def opened(self) -> list[bool]:
        """Return whether each gate is open without noise."""
        value = (torch.sigmoid(self.gate.detach()) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
        return [bool(each) for each in value > 0.5]

    def openness(self) -> list[float]:
        """Return the probability that each gate is not zero."""
        return [float(each) for each in self._open_probability().detach()]

    def structures(self) -> list[float]:
        """Return the probability of each candidate among those of its cut point."""
        found = self._masked().softmax(dim=1).detach()
        return [float(each) for each in found[self.there]]

    def _open_probability(self) -> Tensor:
        return torch.sigmoid(self.gate - BETA * math.log(-GAMMA / ZETA))

    def _masked(self) -> Tensor:
        return self.weight.masked_fill(~self.there, -torch.inf)

    def _policy(self, rows: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the expected error and the expected relative cost of the gated network on some samples (scalars)."""
        sharpness = 0.1 * 0.1**progress
        gate, one = self._sample_gates(len(rows), generator), self._sample_structures(len(rows), progress, generator)
        threshold = torch.sigmoid(self.threshold_logit) if self.learned else torch.tensor(self.start)
        leave = gate[:, :, None] * one * torch.sigmoid((self.confidences[rows] - threshold) / sharpness)
        stay = 1.0 - leave.sum(dim=2)
        reach = torch.cat([torch.ones(len(rows), 1), stay.cumprod(dim=1)], dim=1)
        exits = reach[:, :-1, None] * leave
        error = (exits * self.wrong[rows]).sum(dim=(1, 2)) + reach[:, -1] * self.wrong_at_last[rows]
        backbone = (exits.sum(dim=2) * self.backbone_cost).sum(dim=1) + reach[:, -1]
        branches = (reach[:, :-1] * gate * (one * self.branch_cost).sum(dim=2)).sum(dim=1)
        return error.mean(), (backbone + branches).mean()

    def _sample_gates(self, samples: int, generator: torch.Generator) -> Tensor:
        """Sample hard-concrete gates [samples, P]."""
        noise = torch.rand(samples, len(self.gate), generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid((noise.log() - (1 - noise).log() + self.gate) / BETA)
        return (soft * (ZETA - GAMMA) + GAMMA).clamp(0, 1)

    def _sample_structures(self, samples: int, progress: float, generator: torch.Generator) -> Tensor:
        """Sample one structure per cut point [samples, P, F]: one-hot forward, Gumbel-softmax backward."""
        places, widest = self.grid.shape
        if widest == 1:
            return torch.ones(samples, places, 1)
        noise = torch.rand(samples, places, widest, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = ((self._masked() - (-noise.log()).log()) / (5.0 * 0.1**progress)).softmax(dim=2)
        hard = torch.zeros_like(soft).scatter(2, soft.argmax(dim=2, keepdim=True), 1.0)
        straight: Tensor = hard + soft - soft.detach()
        return straight
