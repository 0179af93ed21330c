"""A network as the study knew it before full training, kept if training made it worse."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import SCORED, exit_tables
from eenas.policies.bootstrap import advantage
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.right_answers import right_answers
from eenas.results.results import Comparison
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.design_training import inherits
from eenas.study.trials.scores import policy_within

BANKED, PREPARED = "the bank's branches on the prepared backbone", "the prepared backbone"
"""The names of the two networks before training, with branches and without. `keep_better` names them as baselines."""


def keep_better(network: EarlyExitNetwork, context: StudyContext) -> Comparison | None:
    """Restore the weights that the study knew for a network if full training made it significantly worse.

    These are the branches of the bank on the prepared backbone. They are unknown if the bank lacks one or exits are
    boosted. Both networks are evaluated as in the search: on validation, with policies fitted on calibration for the
    design's target. The test split is not used.

    Return the accuracy of the trained network minus that of the restored one, with its interval, or None if the trained
    network is kept.
    """
    design, costs = network.design, context.costs(network.design)
    known = _tables_before(design, context, costs)
    if known is None:
        return None
    trained = exit_tables(network, context.task, costs, known)
    weights = trained["validation"].weights
    ours, theirs = (_right(design, tables, context) for tables in (trained, known))
    difference, low, high = advantage(ours, theirs, weights)
    if high >= 0:
        return None
    before = context.build(design)
    if design.branches:
        Bank(context).inherit(before)
    network.load_state_dict(before.state_dict())
    name, target = BANKED if design.branches else PREPARED, design.policy.target_macs
    return Comparison(baseline=name, budget=target, difference=difference, low=low, high=high)


def _tables_before(design: Design, context: StudyContext, costs: ExitCosts) -> Mapping[str, ExitTable] | None:
    """Return the network's exit tables on calibration and validation before training, or None if they are unknown."""
    if not design.branches:
        return {split: context.plain_table(split) for split in SCORED}
    bank = Bank(context)
    if not (context.settings.bank.use and inherits(design) and all(map(bank.holds, design.branches))):
        return None
    return bank.exit_tables(design, costs)


def _right(design: Design, tables: Mapping[str, ExitTable], context: StudyContext) -> NDArray[np.bool_]:
    policy = policy_within(
        Fitting(tables["calibration"], design.policy),
        context.settings.constraints,
        target_macs=design.policy.target_macs,
        backbone_macs=float(context.profile.total_macs),
    )
    return right_answers(policy, tables["validation"])
