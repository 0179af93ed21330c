"""Sources of reports for tests: made-up studies with the tables, data and Optuna trials that go with them."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

from eenas.errors import EenasError, FrontError
from eenas.reporting.report_source import ReportSource
from eenas.reporting.summary import recommended
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.task import Task

from .studies import CUT_POINT_MACS, picked, study

BEGUN = datetime(2026, 1, 2)
FACTS = {
    "profile": {
        "cut_points": [{"name": name} for name in CUT_POINT_MACS],
        "macs": list(CUT_POINT_MACS.values()),
        "total_latency": {"runtime": "torch", "threads": 1, "dtype": "float32", "repeats": 50, "spread": 0.04},
    },
    "execution": "float32",
}


def source(results=None, **more):
    """A report's source; `more` takes the place of what it would give."""
    results = with_frozen_points(study(9)) if results is None else results
    given = {
        "results": results,
        "facts": FACTS,
        "created": "2026-01-02T03:04:05+00:00",
        "picked": lambda: found(results),
        "task": lambda: task(found(results)),
        "trials": lambda: trials(len(results.trials)),
    }
    return ReportSource(**(given | more))


def with_frozen_points(results):
    """The study as if its networks had been tried on the frozen backbone before they were trained."""
    made = (replace(trial, frozen_points=trial.points[: 3 + trial.number]) for trial in results.trials)
    return replace(results, trials=tuple(made))


def found(results):
    if recommended(results) is None:
        raise FrontError("there is no front yet")
    return picked(results)


def task(chosen):
    """Images of noise whose validation split has the labels of the tables."""
    labels = chosen.validation.labels
    pool = np.arange(1000) % 10
    whole = Task.from_arrays(
        "noise",
        np.random.default_rng(0).integers(256, size=(1000, 8, 8), dtype=np.uint8),
        pool,
        splits=SplitsSpec(validation=SplitSpec(source="train", size=400)),
    )
    left = [np.nonzero(whole.validation.labels == label)[0].tolist() for label in range(10)]
    rows = np.array([left[label][index % len(left[label])] for index, label in enumerate(labels)])
    object.__setattr__(whole, "validation", whole.validation.subset(rows))
    return whole


def trials(number):
    """Trials of Optuna with two parameters and three values."""
    space = {"slot1.depth": FloatDistribution(0, 1), "slot1.structure": CategoricalDistribution(["fc", "mlp"])}
    values = np.random.default_rng(0).uniform(size=(number, 3))
    return [
        optuna.trial.FrozenTrial(
            number=index,
            trial_id=index,
            state=optuna.trial.TrialState.COMPLETE,
            value=None,
            values=[float(row[0]), *row[1:].tolist()],
            datetime_start=BEGUN,
            datetime_complete=BEGUN,
            params={"slot1.depth": float(row[0]), "slot1.structure": ["fc", "mlp"][index % 2]},
            distributions=space,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        for index, row in enumerate(values)
    ]


def broken():
    raise EenasError("this cannot be had; mend it")
