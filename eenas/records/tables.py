"""The tables that eenas keeps beside Optuna's in a study's database, and the number of their schema."""

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text

SCHEMA = 1
"""Counts up when a table changes in a way that an older eenas could not read."""

METADATA = MetaData()

SCHEMA_ROW = Table(
    "eenas_schema",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

STUDIES = Table(
    "eenas_studies",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("identity_digest", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("baselines", Text, nullable=False),
)

TOKENS = Table(
    "eenas_tokens",
    METADATA,
    Column("study", Text, primary_key=True),
    Column("token", Text, nullable=False),
)
"""What Optuna's studies are marked with; a table of its own, which an older eenas does not read."""

TRIALS = Table(
    "eenas_trials",
    METADATA,
    Column("study", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("design_digest", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("eenas_trials_by_design", "study", "design_digest"),
)

LEARNING_CURVES = Table(
    "eenas_learning_curves",
    METADATA,
    Column("study", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("method", Text, nullable=False),
    Column("curve", Text, nullable=False),
)
"""A table of its own: a storage without it gets it when it is opened, and an older eenas does not read it."""

PREPARED = Table(
    "eenas_prepared",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

MEASUREMENTS = Table(
    "eenas_measurements",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
)

LEASES = Table(
    "eenas_leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("beat", Integer, nullable=False),
)

BANK = Table(
    "eenas_bank",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("backbone", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("eenas_bank_by_backbone", "backbone"),
)
