"""Records: the contents of the database and the artifacts."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.records.artifacts import ArtifactStore
    from eenas.records.bank import BankRecord, BankRecords
    from eenas.records.database import Database
    from eenas.records.leases import Leases
    from eenas.records.stores.object_store import ObjectStore, TransientStoreError
    from eenas.records.studies import StudyRecord, StudyRecords
    from eenas.records.trials import TrialRecord, TrialRecords

_HOMES = {
    "ArtifactStore": "artifacts",
    "BankRecord": "bank",
    "BankRecords": "bank",
    "Database": "database",
    "Leases": "leases",
    "ObjectStore": "stores.object_store",
    "StudyRecord": "studies",
    "StudyRecords": "studies",
    "TransientStoreError": "stores.object_store",
    "TrialRecord": "trials",
    "TrialRecords": "trials",
}
__all__ = [
    "ArtifactStore",
    "BankRecord",
    "BankRecords",
    "Database",
    "Leases",
    "ObjectStore",
    "StudyRecord",
    "StudyRecords",
    "TransientStoreError",
    "TrialRecord",
    "TrialRecords",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
