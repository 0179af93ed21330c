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


def _values(*names: str, kind: type[Text] | type[Integer] | type[Double] = Text) -> tuple[Column[Any], ...]:
    """Return columns that are never null."""
    return tuple(Column(name, kind, nullable=False) for name in names)


SCHEMA_ROW = Table("eenas_schema", METADATA, _key("id", Integer), *_values("version", kind=Integer))

STUDIES = Table("eenas_studies", METADATA, _key("name"), *_values("identity_digest", "created", "body", "baselines"))

TOKENS = Table("eenas_tokens", METADATA, _key("study"), *_values("token"))
"""The marks of Optuna's studies, in a separate table that an older eenas does not read."""

TRIALS = Table(
    "eenas_trials",
    METADATA,
    *(_key("study"), _key("number", Integer), *_values("state", "design_digest", "body")),
    Index("eenas_trials_by_design", "study", "design_digest"),
)

LEARNING_CURVES = Table(
    "eenas_learning_curves", METADATA, _key("study"), _key("number", Integer), *_values("method", "curve")
)
"""A separate table, added when an older storage is opened; an older eenas does not read it."""

PREPARED = Table("eenas_prepared", METADATA, _key("key"), *_values("body"))

MEASUREMENTS = Table("eenas_measurements", METADATA, _key("digest"), *_values("key", "value"))

LEASES = Table("eenas_leases", METADATA, _key("name"), *_values("holder"), *_values("beat", kind=Integer))

BANK = Table(
    "eenas_bank",
    METADATA,
    *(_key("key"), *_values("backbone", "body")),
    Index("eenas_bank_by_backbone", "backbone"),
)

WORKERS = Table(
    "eenas_workers",
    METADATA,
    *(_key("name"), *_values("study", "host"), *_values("process", kind=Integer), *_values("device", "versions")),
    *(*_values("started", "seen", kind=Double), *_values("doing"), Column("trial", Integer)),
)
"""The workers of all studies. `started` and `seen` are seconds since 1970 by the clock of the database."""

PROGRESS = Table("eenas_progress", METADATA, _key("study"), *_values("held", "ended", kind=Integer), *_values("best"))
"""One row for each study. `held` counts ended trials and claims, `best` holds undominated accuracies and MACs."""

CLAIMS = Table(
    "eenas_claims",
    METADATA,
    *(_key("study"), _key("key"), *_values("worker"), Column("number", Integer)),
    Index("eenas_claims_by_trial", "study", "number"),
)

RERUNS = Table("eenas_reruns", METADATA, _key("study"), _key("number", Integer), *_values("run_by", kind=Integer))
"""Which trial runs again a trial that was cut off: the first one to start."""
