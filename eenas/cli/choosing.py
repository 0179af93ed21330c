"""The flags that select a network of a study."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from eenas.cli.terminal.failures import one_of
from eenas.errors import EenasError

if TYPE_CHECKING:
    from eenas.results.choice import Choice


def choice_of(
    *,
    best: bool = False,
    knee: bool = False,
    network: str | None = None,
    trial: int | None = None,
    design: Path | None = None,
    max_accuracy_drop: float | None = None,
    confidence: float | None = None,
    others: Mapping[str, float] = MappingProxyType({}),
    **limits: float | int | None,
) -> "Choice":
    """Return the choice that the flags of a verb describe. `limits`, and `others` from --limit, are named as in TOML.

    Raises EenasError for two exclusive flags and for a limit that is given twice.
    """
    drop = max_accuracy_drop if confidence is None else None  # with a confidence, it may go with a name
    one_of(best=best, knee=knee, network=network, trial=trial, design=design, max_accuracy_drop=drop)
    if twice := [name for name in others if limits.get(name) is not None]:
        raise EenasError(f"--limit {twice[0]} and its own flag are mutually exclusive; use only one")
    from eenas.results.choice import Choice
    from eenas.results.front import ACCEPTED_DROP
    from eenas.study.settings.limits import Limits

    return Choice(
        network=network if trial is None else f"trial {trial}",
        design_file=design,
        knee=knee,
        max_accuracy_drop=ACCEPTED_DROP if best and max_accuracy_drop is None else max_accuracy_drop,
        confidence=confidence,
        limits=Limits(**{**limits, **others}),
    )
