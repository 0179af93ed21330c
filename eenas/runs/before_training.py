"""A network as the study knew it before its full training, which is kept where training made it worse."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
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
"""What a network is before its training, with branches and without: the baseline in what `keep_better` gives."""


def keep_better(network: EarlyExitNetwork, context: StudyContext) -> Comparison | None:
    """Give a trained network back the weights that the study knew for it where training made it worse beyond noise.

    These are the branches of the bank on the prepared backbone; where the bank lacks one, or exits are boosted, nothing
    is known. Both are judged on validation, by policies fitted on calibration for the design's target, as the search
    judged them; the test split is not looked at. What is given is the trained network's accuracy less that of the one
    that was kept, with its interval; None where the trained one stays.
    """
    design, costs = network.design, context.costs(network.design)
    known = _tables_before(design, context, costs)
    if known is None:
        return None
    trained = {split: exit_table(network, context.task.split(split), costs) for split in known}
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
    """The exit tables on calibration and validation that the network had before; None where nothing is known of it."""
    if not design.branches:
        return {split: context.plain_table(split) for split in ("calibration", "validation")}
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
