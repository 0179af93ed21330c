"""A run on distorted test samples: its scores in each context, beside those of the plain backbone."""

from collections.abc import Mapping

from eenas.policies.context_scores import ContextScores, beside_backbone, scores_by_context
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ONE_EXIT
from eenas.policies.policy import Policy
from eenas.policies.temperatures import fit_temperatures
from eenas.tasks.distortions.distorted_splits import PREFIX


def context_scores(
    policy: Policy, tables: Mapping[str, ExitTable], plain: Mapping[str, ExitTable], split: str
) -> tuple[ContextScores, ...]:
    """Return the scores of a network on a split and its distorted counterpart, pristine samples first.

    `tables` and `plain` hold the exit tables of the network and of the plain backbone on "calibration", on the split
    and on its counterpart. Temperatures are fitted on pristine calibration samples. Empty without a counterpart.
    """
    if PREFIX + split not in tables:
        return ()
    names = (split, PREFIX + split)
    own = _of(policy, tables, names)
    return beside_backbone(own, {each.context: each for each in _of(ONE_EXIT, plain, names)})


def _of(policy: Policy, tables: Mapping[str, ExitTable], names: tuple[str, ...]) -> tuple[ContextScores, ...]:
    temperatures = fit_temperatures(tables["calibration"]).tolist()
    return tuple(each for name in names for each in scores_by_context(policy, tables[name], temperatures))
