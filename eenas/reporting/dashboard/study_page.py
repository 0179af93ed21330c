"""The study's page in optuna-dashboard: figures, a note on the study and notes on the trials of its front."""

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import cast

import optuna
from optuna.storages import BaseStorage
from optuna_dashboard import save_note, save_plotly_graph_object

from eenas.progress import Listener, Notice, silent
from eenas.reporting.facts.notes import study_note, trial_note
from eenas.reporting.facts.selection import spread
from eenas.reporting.figures.front_figure import draw_front, front_facts
from eenas.reporting.report.page import FIGURES, FRONT, PageSpec, load_page, with_own_fronts
from eenas.results.results import StudyResults
from eenas.specs import digest


@dataclass(frozen=True)
class _EndedTrial:
    """The attributes of a trial that `save_note` reads; creating an `optuna.Trial` would run the sampler again."""

    study: optuna.Study
    storage: BaseStorage
    _trial_id: int


def publish(
    results: StudyResults,
    study: optuna.Study,
    *,
    page: PageSpec | None = None,
    written: MutableMapping[str, str] | None = None,
    listener: Listener = silent,
) -> None:
    """Write the page's figures and notes into the study, where optuna-dashboard shows them.

    `written` holds digests of the caller's earlier output: only changed panels are written again, since every write
    goes to the database, and optuna-dashboard reads all attributes of the study for each. Any error in a panel, also
    that of a missing database, becomes a Notice: a study never stops because of its page.
    """
    known = {} if written is None else written
    try:
        jobs = list(_jobs(results, study, page or load_page()))
    except Exception as error:  # a page must not end a search
        listener(Notice(f"the study's page was not refreshed: {type(error).__name__}: {error}"))
        return
    for name, make in jobs:
        try:
            text, save = make()
            if known.get(name) != (fresh := digest(text)):
                save()
                known[name] = fresh
        except Exception as error:  # as above; the other panels are still published
            listener(Notice(f"{name} on the study's page was not refreshed: {type(error).__name__}: {error}"))


Job = Callable[[], tuple[str, Callable[[], object]]]


def _jobs(results: StudyResults, study: optuna.Study, page: PageSpec) -> Iterator[tuple[str, Job]]:
    """Yield each panel's name and a function that returns its text, to detect changes, and a function that saves it."""
    for name in with_own_fronts(page.figures, results):
        yield f"figure {name}", lambda name=name: _figure(name, results, study)  # type: ignore[misc]
    if page.note:
        yield "the note", lambda: _note(study, study_note(results))
    spaced = (item.trial for item in (*spread(results.choices, page.trial_notes), *results.front))
    on_front = [number for number in dict.fromkeys(spaced) if number is not None][: page.trial_notes]
    if on_front:
        trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
        for number in on_front:
            if number in trials:
                ended = _EndedTrial(study, study._storage, trials[number]._trial_id)
                text = trial_note(results, number)
                yield (
                    f"the note on trial {number}",
                    lambda ended=ended, text=text: _note(cast(optuna.Trial, ended), text),  # type: ignore[misc]
                )


def _figure(name: str, results: StudyResults, study: optuna.Study) -> tuple[str, Callable[[], object]]:
    make = FIGURES.get(name)  # type: ignore[call-overload]  # a front over a cost of the study's own is not among them
    drawing = make(results) if make else draw_front(front_facts(results, name.removeprefix(FRONT)))
    return drawing.to_json(), lambda: save_plotly_graph_object(study, drawing, graph_object_id=f"eenas-{name}")


def _note(place: optuna.Study | optuna.Trial, text: str) -> tuple[str, Callable[[], object]]:
    return text, lambda: save_note(place, text)
