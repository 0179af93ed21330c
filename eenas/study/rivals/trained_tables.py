"""The exit tables of rivals that are trained like a trial, from the cache or by training."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from eenas.designs.design import Design
from eenas.errors import DivergedError
from eenas.measurement.profile import source_of
from eenas.networks.tables import exit_tables
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.progress import Notice
from eenas.specs import digest, to_table
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.design_training import DesignTraining, network_digest, train_design
from eenas.training.checkpoints import Checkpoint

Tables = Mapping[str, ExitTable]


def trained_tables(context: StudyContext, bank: Bank, design: Design) -> Tables | None:
    """Return the exit tables of a network trained like a trial, from the cache or by resumed training.

    Returns None if the training diverges, after a notice.
    """
    costs, sources = context.costs(design), [source_of(placed.branch) for placed in design.branches]
    training = [to_table(context.settings.training), str(context.execution)]
    key = f"static/{digest([bank.conditions, network_digest(design), sources, training])}"
    path = context.artifacts.root / f"{key.replace('/', '-')}.checkpoint.pt"
    checkpoint = Checkpoint(path, paced=True, check=context.limit.check)
    kept = context.cache.get(key)
    if kept is not None and all(context.artifacts.holds(reference) for reference in kept.values()):
        checkpoint.remove()  # the time limit may have stopped the command between the next two steps
        found = {split: load_exit_table(context.artifacts.path(reference)) for split, reference in kept.items()}
        return {split: replace(table, costs=costs.costs) for split, table in found.items()}
    try:
        network, _ = train_design(design, context, DesignTraining.brief(context, bank=bank, checkpoint=checkpoint))
    except DivergedError as error:
        checkpoint.remove()
        outcome = "keeps its banked branch" if design.static else "was not trained"
        context.listener(Notice(f"a rival of the search, {design.label()}, {outcome}: {error}"))
        return None
    tables = exit_tables(network, context.task, costs)
    context.cache.put(key, keep_tables(context, "trained", tables))
    checkpoint.remove()
    return tables


def keep_tables(context: StudyContext, name: str, tables: Tables) -> dict[str, str]:
    """Write the exit tables of a network as artifacts and return their references by split."""
    word = "".join(letter if letter.isalnum() else "-" for letter in name)
    key = uuid4().hex[:8]  # each study in the storage has its own files
    return {
        split: context.artifacts.write(f"table-{word}-{split}-{key}.npz", table.save) for split, table in tables.items()
    }
