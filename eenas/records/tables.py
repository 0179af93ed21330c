"""eenas's own tables in a study's database, beside Optuna's, and their schema version."""

from typing import Any

from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text

SCHEMA = 2
"""The schema version. Raise it when an older eenas would misread a table or break a guarantee by not keeping it.

2: an eenas without claims would run trials beyond the total.
"""

METADATA = MetaData()


def _key(name: str, kind: type[Text] | type[Integer] = Text) -> Column[Any]:
    """Return a column of the primary key without autoincrement."""
    return Column(name, kind, primary_key=True, autoincrement=False)


def _says(meaning: str) -> dict[str, str]:
    """Return the `info` of a table with what its rows are, for the reference."""
    return {"meaning": meaning}


def _values(*names: str, kind: type[Any] = Text) -> tuple[Column[Any], ...]:
    """Return columns that are never null."""
    return tuple(Column(name, kind, nullable=False) for name in names)


SCHEMA_ROW = Table(
    "eenas_schema",
    METADATA,
    *(_key("id", Integer), *_values("version", kind=Integer)),
    info=_says("One row with the version of these tables."),
)

STUDIES = Table(
    "eenas_studies",
    METADATA,
    *(_key("name"), *_values("identity_digest", "created", "body", "baselines")),
    info=_says("A study: `body` has its identity, settings and facts, `baselines` the points of each baseline."),
)

TOKENS = Table(
    "eenas_tokens",
    METADATA,
    *(_key("study"), *_values("token")),
    info=_says("The mark of Optuna's study of this name; another mark means that the study was deleted."),
)
"""The marks of Optuna's studies, in a separate table that an older eenas does not read."""

TRIALS = Table(
    "eenas_trials",
    METADATA,
    *(_key("study"), _key("number", Integer), *_values("state", "design_digest", "body")),
    Index("eenas_trials_by_design", "study", "design_digest"),
    info=_says("A finished trial: `body` has its design, operating points, values and violations."),
)

LEARNING_CURVES = Table(
    "eenas_learning_curves",
    METADATA,
    *(_key("study"), _key("number", Integer), *_values("method", "curve")),
    info=_says("The learning curve of a trial, by which others are pruned."),
)
"""A separate table, added when an older storage is opened; an older eenas does not read it."""

PREPARED = Table(
    "eenas_prepared",
    METADATA,
    *(_key("key"), *_values("body")),
    info=_says("A prepared backbone: where its weights are, and how they came about."),
)

MEASUREMENTS = Table(
    "eenas_measurements",
    METADATA,
    *(_key("digest"), *_values("key", "value")),
    info=_says("A measurement: `key` says of what, where and how, `value` has the numbers."),
)

LEASES = Table(
    "eenas_leases",
    METADATA,
    *(_key("name"), *_values("holder"), *_values("beat", kind=Integer)),
    info=_says("Work that one worker does for all, with the worker and its last sign of life."),
)

BANK = Table(
    "eenas_bank",
    METADATA,
    *(_key("key"), *_values("backbone", "body")),
    Index("eenas_bank_by_backbone", "backbone"),
    info=_says("A branch of the bank: what it is, how it was trained, and where its weights are."),
)

WORKERS = Table(
    "eenas_workers",
    METADATA,
    *(_key("name"), *_values("study", "host"), *_values("process", kind=Integer), *_values("device", "versions")),
    *(*_values("started", "seen", kind=Double), *_values("doing"), Column("trial", Integer)),
    info=_says("A worker. `started` and `seen` are seconds since 1970 by the clock of the database."),
)

PROGRESS = Table(
    "eenas_progress",
    METADATA,
    *(_key("study"), *_values("held", "ended", kind=Integer), *_values("best")),
    info=_says("A study: `held` counts ended trials and claims, `best` holds undominated accuracies and MACs."),
)

CLAIMS = Table(
    "eenas_claims",
    METADATA,
    *(_key("study"), _key("key"), *_values("worker"), Column("number", Integer)),
    Index("eenas_claims_by_trial", "study", "number"),
    info=_says("The claim of a worker to run one trial of the total; it ends with the record of the trial."),
)

RERUNS = Table(
    "eenas_reruns",
    METADATA,
    *(_key("study"), _key("number", Integer), *_values("run_by", kind=Integer)),
    info=_says("Which trial runs again a trial that was cut off: the first one to start."),
)

STORES = Table(
    "eenas_stores",
    METADATA,
    *(_key("study"), *_values("key", "place")),
    info=_says("The artifact store of a study: the key of the object that shows it, and where it was last used."),
)
