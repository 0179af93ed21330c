"""The refusals of a search before data are read and anything is measured: its storage, its artifacts, its name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from optuna.samplers import BaseSampler

from eenas.errors import EenasError, StudyError
from eenas.names import check_name
from eenas.records.artifacts import ArtifactStore, check_storage, folder_beside
from eenas.records.database import Database
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.study.context.data_changes import known_record
from eenas.study.settings.identity import describe_differences, differences, sampler_name, settings_identity
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import StudySpec


def check_request(reference: StudyReference, settings: StudySpec, sampler: BaseSampler | None = None) -> None:
    """Raise the errors of a search that need neither its data nor a measurement. Nothing is written.

    StorageError for a storage or artifacts that cannot be used, or are not those of the study `reference.name`.
    SpecError for an invalid name, and StudyError for that of another search, as far as the settings show it.
    """
    check_storage(reference.storage, reference.artifacts)
    folder = folder_beside(reference.storage, reference.artifacts)
    if folder is not None:
        FolderStore(folder, create=False).check_place()
    if reference.name is None:
        return
    name = check_name(reference.name, "a study")
    if (record := known_record(reference.storage, name)) is None:
        return
    identity = settings_identity(settings)
    if sampler is not None:
        identity["sampler"] = sampler_name(sampler)
    known = {key: value for key, value in record.identity.items() if key in (*identity, "accuracy")}
    if keys := differences(identity, known):
        raise another_search(name, describe_differences(keys, identity, known))
    store = ArtifactStore.beside(reference.storage, reference.artifacts, create=False, trust_code=reference.trust_code)
    StudyArtifacts(Database(reference.storage, create=False), name, store.objects).check()


def another_search(name: str, differing: str) -> StudyError:
    """Return the error for a name that belongs to a search with other settings or data."""
    return StudyError(
        f"the study {name!r} belongs to another search: {differing}; give another --name, or the flags that it was "
        "started with"
    )


@contextmanager
def unmade_if_refused(reference: StudyReference) -> Iterator[None]:
    """Remove an empty folder of artifacts that is made inside the block, if the block raises an EenasError."""
    folder = folder_beside(reference.storage, reference.artifacts)
    made = [] if folder is None else [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    try:
        yield
    except EenasError:
        for each in made:
            with suppress(OSError):  # not empty, or not made
                each.rmdir()
        raise
