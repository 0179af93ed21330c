"""A reference to a study: its location, and the objects that were given to its search."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict, cast

from torch import nn

from eenas.errors import StudyError, nearest
from eenas.progress import Listener, silent
from eenas.records.stores.places import ArtifactPlace
from eenas.tasks.task import Task

STORAGE = "sqlite:///eenas.db"
"""The default database of studies."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyReference:
    """The study `name` (None: the newest) in the database `storage`.

    `artifacts` is the place of its weights and exit tables: a folder, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`,
    `./file.py:Store` or an `ObjectStore` (None: the folder beside the SQLite file). `trust_code` allows running Python
    code that it names. `backbone` and `task` are the objects that were given to `search`, if any.
    `accept_changed_data` accepts changed data if the results of the study still hold. `listener` receives events.
    """

    storage: str = STORAGE
    name: str | None = None
    artifacts: ArtifactPlace | None = None
    trust_code: bool = False
    backbone: nn.Module | None = None
    task: Task | None = None
    accept_changed_data: bool = False
    listener: Listener = silent


class UnnamedOptions(TypedDict, total=False):
    """The fields of a `StudyReference` except the name, as optional keywords of a function."""

    storage: str
    artifacts: ArtifactPlace | None
    trust_code: bool
    backbone: nn.Module | None
    task: Task | None
    accept_changed_data: bool
    listener: Listener


class StudyOptions(UnnamedOptions, total=False):
    """The fields of a `StudyReference` as keywords of a function."""

    name: str | None


def fields_of(reference: StudyReference) -> StudyOptions:
    """Return the fields of a reference as keywords."""
    return cast(StudyOptions, vars(reference).copy())


def referred(study: StudyReference | str | None, options: Mapping[str, Any]) -> StudyReference:
    """Return a reference in which `options` override the fields. `study` may also be the URL of a storage.

    Raises StudyError for an unknown option.
    """
    known = [field.name for field in fields(StudyReference)]
    if unknown := [name for name in options if name not in known]:
        raise StudyError(f"a study has no option {unknown[0]!r}; {nearest(unknown[0], known)}")
    if isinstance(study, str):
        study = StudyReference(storage=study)
    return replace(study or StudyReference(), **options)
