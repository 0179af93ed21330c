"""The importance of the search space's parameters for each objective, computed by Optuna."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from eenas.errors import StudyError, plural
from eenas.escaping import in_figure
from eenas.policies.contexts.robustness import MEASURES
from eenas.reporting.facts.wording import cost_word
from eenas.reporting.figures import figure_style as style
from eenas.study.settings.search_spec import ACCURACY

SHOWN = 12
"""The largest number of parameters shown."""
FEWEST = 4
"""The smallest number of trials; with fewer, importances would be guesses."""
MOST = 400
"""The largest number of trials, spaced evenly over the search; a forest on thousands would take minutes."""
TREES = 16


@dataclass(frozen=True, kw_only=True)
class ImportanceFacts:
    """The most important parameters; `importances` has a row for each objective, with a sum of at most 1."""

    title: str
    subtitles: tuple[str, ...]
    trials: int
    objectives: tuple[str, ...]
    parameters: tuple[str, ...]
    importances: tuple[tuple[float, ...], ...]


def importance_facts(
    trials: Sequence[FrozenTrial], objectives: Sequence[str], infeasible: Sequence[int] = ()
) -> ImportanceFacts:
    """Return the facts from the trials of Optuna's study (fANOVA, Hutter et al. 2014, on a forest with a fixed seed).

    The trials with numbers in `infeasible` are left out: they could not be built and have placeholder values. Raises
    StudyError if fewer than FEWEST trials are left.
    """
    skipped = set(infeasible)
    usable = [
        trial for trial in trials if trial.state == TrialState.COMPLETE and trial.params and trial.number not in skipped
    ]
    if len(usable) < FEWEST:
        raise StudyError(
            f"importances need {FEWEST} finished trials, this study has {len(usable)}; search for more trials"
        )
    used = [usable[index] for index in np.linspace(0, len(usable) - 1, min(MOST, len(usable))).astype(int)]
    found = [_importances(used, index) for index in range(len(objectives))]
    best = {name: max(each.get(name, 0.0) for each in found) for name in set().union(*found)}
    shown = sorted(best, key=lambda name: (-best[name], name))[:SHOWN]
    return ImportanceFacts(
        title="Importance of the search space's parameters",
        subtitles=(
            f"share of the variance among {_of(len(used), len(usable))} that a parameter explains (fANOVA);",
            "with few trials this is only a hint" if len(used) < 50 else "the parameters that explain most",
        ),
        trials=len(used),
        objectives=tuple(
            name.replace("_", " ") if name in (ACCURACY, *MEASURES) else f"expected {cost_word(name)}"
            for name in objectives
        ),
        parameters=tuple(shown),
        importances=tuple(tuple(each.get(name, 0.0) for name in shown) for each in found),
    )


def draw_importance(facts: ImportanceFacts) -> go.Figure:
    """Draw a group of bars per parameter, with one bar per objective, the most important at the top."""
    height = style.TOP + style.BOTTOM + max(200, 42 * len(facts.parameters))
    drawing = style.figure(facts.title, *facts.subtitles, height=height)
    looks = ((style.BLUE, ""), (style.ORANGE, "/"), (style.GREEN, "x"))
    for objective, row, (colour, pattern) in zip(facts.objectives, facts.importances, looks, strict=False):
        drawing.add_bar(
            orientation="h",
            name=objective,
            y=list(map(in_figure, facts.parameters)),
            x=[round(100 * value, 2) for value in row],
            marker={"color": colour, "pattern": style.pattern(pattern)},
            hovertemplate=f"%{{y}} explains %{{x:.0f}} % of the variance of {objective}<extra></extra>",
        )
    drawing.update_layout(barmode="group", bargap=0.25, legend={"traceorder": "normal"})
    drawing.update_xaxes(style.axis("share of the variance explained, %", rangemode="tozero"))
    drawing.update_yaxes(style.axis("", autorange="reversed", showgrid=False, automargin=True))
    if not any(map(any, facts.importances)):
        style.say_empty(drawing, "no parameter explains anything: all values are equal")
    return drawing


def _of(used: int, trials: int) -> str:
    return plural(trials, "trial") if used == trials else f"{used} of {plural(trials, 'trial')}"


def _importances(trials: Sequence[FrozenTrial], index: int) -> dict[str, float]:
    """Return Optuna's importances for one objective; empty if its value or all parameters are equal in all trials."""
    values = [trial.values[index] for trial in trials]
    if min(values) == max(values):
        return {}
    copy = optuna.create_study(direction="minimize")
    copy.add_trials(
        optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=value)
        for trial, value in zip(trials, values, strict=True)
    )
    return dict(
        optuna.importance.get_param_importances(copy, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=0))
    )
