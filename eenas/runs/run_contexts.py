"""A run on distorted test samples: scores in each context beside the plain backbone, and thresholds per context."""

from collections.abc import Mapping

from eenas.designs.design import Design
from eenas.policies.contexts.context_fit import fit_by_context, with_pristine
from eenas.policies.contexts.context_scores import ContextScores, beside_backbone, scores_in
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.kinds.threshold import ONE_EXIT, ThresholdPolicy
from eenas.policies.policy import Policy
from eenas.policies.temperatures import fit_temperatures
from eenas.runs.context_report import ContextReport
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.limits import Limits
from eenas.tasks.distortions.contexts import CLEAN, kind_of, severity_of
from eenas.tasks.distortions.distorted_splits import PREFIX

COMMON_ONLY = "The guarantee is for one policy in all contexts, so there are no thresholds per context (per_context)."
"""What a run with a guarantee says if its study asks for thresholds per context."""


def context_report(
    context: StudyContext,
    policy: Policy,
    design: Design,
    limits: Limits,
    tables: Mapping[str, ExitTable],
    *,
    certified: bool = False,
) -> ContextReport | None:
    """Return the report on distorted test samples, with thresholds per context if the study asks for them.

    None if the task has no distortions. A `certified` policy remains the only one: thresholds per context would replace
    it in exports, and they passed no test.
    """
    if context.task.distortions is None:
        return None
    plain = {split: context.plain_table(split) for split in tables}
    common = context_scores(policy, tables, plain, "test")
    own = None if certified else policy_by_context(context, design, limits, tables)
    if own is None:
        return ContextReport(common=common)
    return ContextReport(common=common, own=context_scores(own, tables, plain, "test"), policy=own)


def context_scores(
    policy: Policy, tables: Mapping[str, ExitTable], plain: Mapping[str, ExitTable], split: str
) -> tuple[ContextScores, ...]:
    """Return the scores of a network on a split and its distorted counterpart, pristine samples first.

    `tables` and `plain` hold the exit tables of the network and of the plain backbone on "calibration", on the split
    and on its counterpart. Temperatures are fitted on pristine calibration samples, or are those of the context if
    the policy has thresholds per context. Empty without a counterpart.
    """
    if PREFIX + split not in tables:
        return ()
    names = (split, PREFIX + split)
    own = _of(policy, tables, names)
    return beside_backbone(own, {each.context: each for each in _of(ONE_EXIT, plain, names)})


def policy_by_context(
    context: StudyContext, design: Design, limits: Limits, tables: Mapping[str, ExitTable]
) -> ContextPolicy | None:
    """Return the policy of a design with thresholds per context, or None if the study does not ask for it.

    Each context keeps the limits on expected costs and the design's target of MACs.
    """
    if not asks_for_contexts(context) or design.static:
        return None
    calibration = with_pristine(tables[PREFIX + "calibration"], tables["calibration"], CLEAN)
    target, total = design.policy.target_macs, float(context.profile.total_macs)
    within = {name: limit for name, limit in limits.expected.items() if name in calibration.costs.mean_names}
    within[MACS] = min(target, limits.expected.get(MACS, target)) * total
    return fit_by_context(calibration, design.policy, within=within)


def asks_for_contexts(context: StudyContext) -> bool:
    """Whether the study asks for thresholds per context."""
    spec = context.task.distortions
    return spec is not None and spec.per_context


def _of(policy: Policy, tables: Mapping[str, ExitTable], names: tuple[str, ...]) -> tuple[ContextScores, ...]:
    common = fit_temperatures(tables["calibration"]).tolist()
    parts = [part for name in names for part in _parts(tables[name])]
    return tuple(
        scores_in(name, own, part, own.temperatures if isinstance(own, ThresholdPolicy) else common)
        for name, part in parts
        for own in [policy.of(name) if isinstance(policy, ContextPolicy) else policy]
    )


def _parts(table: ExitTable) -> list[tuple[str, ExitTable]]:
    """Return the table of each context by name, the severities of a kind in rising order."""
    if table.contexts is None:
        return [(CLEAN, table)]
    return sorted(table.by_context().items(), key=lambda part: (kind_of(part[0]), severity_of(part[0])))
