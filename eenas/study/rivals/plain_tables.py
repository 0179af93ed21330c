"""The exit tables of the plain backbone that a study has stored, so that a worker that joins does not run it again."""

from collections.abc import Mapping
from dataclasses import replace

from eenas.policies.exit_table_file import load_exit_table
from eenas.records.studies import StudyRecord
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.known_networks import BACKBONE, NETWORKS

OF_BACKBONE = "backbone_digest"
"""The key in the facts of a record for the digest of the prepared backbone, whose tables are stored."""


def reuse_plain_tables(context: StudyContext, record: StudyRecord | None) -> None:
    """Take the stored tables of a study with the same prepared backbone into `context.plain`. Lost ones are left out.

    `record` has the identity of the study, which covers task, splits and device.
    """
    if record is None or record.facts.get(OF_BACKBONE) != context.backbone.digest:
        return
    networks = record.baselines.get(NETWORKS, ())
    stored: Mapping[str, str] = next(
        (table.get("artifacts", {}) for table in networks if table.get("name") == BACKBONE), {}
    )
    for split, reference in stored.items():
        if split not in context.plain and context.artifacts.holds(reference):
            table = load_exit_table(context.artifacts.path(reference))
            context.plain[split] = replace(table, costs=context.costs(context.plain_design()).costs)
