"""A reference to a study: where it lies, and what is repeated of its search by all that opens it again."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, cast

from torch import nn

from eenas.errors import StudyError, nearest
from eenas.progress import Listener, silent
from eenas.tasks.task import Task

STORAGE = "sqlite:///eenas.db"
"""Where studies are kept unless something else is said."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyReference:
    """The study `name` (None: the newest) in the database `storage`.

    `artifacts` is the folder of its weights and exit tables (None: beside an SQLite file). `trust_code` lets Python
    code that it names run. `backbone` and `task` repeat what was given to `search` as objects. With
    `accept_changed_data` it goes on although its data changed, where its results still hold. `listener` hears events.
    """

    storage: str = STORAGE
    name: str | None = None
    artifacts: str | Path | None = None
    trust_code: bool = False
    backbone: nn.Module | None = None
    task: Task | None = None
    accept_changed_data: bool = False
    listener: Listener = silent

    @property
    def folder(self) -> Path | None:
        """The folder of artifacts as a path."""
        return None if self.artifacts is None else Path(self.artifacts)


class UnnamedOptions(TypedDict, total=False):
    """The fields of a `StudyReference` but the name, as keywords of a function; every one is optional."""

    storage: str
    artifacts: str | Path | None
    trust_code: bool
    backbone: nn.Module | None
    task: Task | None
    accept_changed_data: bool
    listener: Listener


class StudyOptions(UnnamedOptions, total=False):
    """The fields of a `StudyReference` as keywords of a function."""

    name: str | None


def fields_of(reference: StudyReference) -> StudyOptions:
    """The fields of a reference as keywords."""
    return cast(StudyOptions, vars(reference).copy())


def referred(study: StudyReference | str | None, options: Mapping[str, Any]) -> StudyReference:
    """A reference or the URL of a storage, with the fields in `options` in the place of its own.

    Raises StudyError for an option that there is not.
    """
    known = [field.name for field in fields(StudyReference)]
    if unknown := [name for name in options if name not in known]:
        raise StudyError(f"a study has no option {unknown[0]!r}; {nearest(unknown[0], known)}")
    if isinstance(study, str):
        study = StudyReference(storage=study)
    return replace(study or StudyReference(), **options)
