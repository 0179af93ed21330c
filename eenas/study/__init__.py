"""Study: from settings to trials and their scores."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.study.context.profiling import profile
    from eenas.study.settings.baselines_spec import BaselinesSpec
    from eenas.study.settings.limits import Limits
    from eenas.study.settings.reference import StudyReference
    from eenas.study.settings.search_spec import SearchSpec
    from eenas.study.settings.study_spec import BankSpec, PrepareSpec, StudySpec, load_settings

_HOMES = {
    "BankSpec": "settings.study_spec",
    "BaselinesSpec": "settings.baselines_spec",
    "Limits": "settings.limits",
    "PrepareSpec": "settings.study_spec",
    "SearchSpec": "settings.search_spec",
    "StudyReference": "settings.reference",
    "StudySpec": "settings.study_spec",
    "load_settings": "settings.study_spec",
    "profile": "context.profiling",
}
__all__ = [
    "BankSpec",
    "BaselinesSpec",
    "Limits",
    "PrepareSpec",
    "SearchSpec",
    "StudyReference",
    "StudySpec",
    "load_settings",
    "profile",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
