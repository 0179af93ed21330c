"""Sources of reports for tests: made-up studies with the tables, data and Optuna trials that go with them."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution

from eenas.backbones.load import load_backbone
from eenas.branches.fc import Fc
from eenas.designs.design import Placed
from eenas.errors import EenasError, FrontError
from eenas.measurement.latency import Latency
from eenas.networks.assembly import build_network
from eenas.policies.contexts.context_scores import beside_backbone, scores_in
from eenas.policies.costs import CostValues
from eenas.policies.kinds.threshold import ONE_EXIT
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.reporting.facts.summary import shown
from eenas.reporting.report.report_source import ReportSource
from eenas.results.results import Comparison
from eenas.runs.exit_facts import ExitFacts
from eenas.runs.run_report import RunReport
from eenas.specs import to_table
from eenas.study.rivals.known_networks import NETWORKS
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone
from tests.reporting.studies import BACKBONE, CLASSES, CUT_POINT_MACS, picked, single, study
from tests.smallest_networks import small_design

BEGUN = datetime(2026, 1, 2)
FACTS = {
    "profile": {
        "cut_points": [{"name": name} for name in CUT_POINT_MACS],
        "macs": list(CUT_POINT_MACS.values()),
        "total_latency": {
            "median_ms": 10.0,
            "p95_ms": 11.0,
            "spread": 0.04,
            "repeats": 50,
            "device": "CPU: a processor",
            "runtime": "torch",
            "threads": 1,
            "batch": 1,
            "dtype": "float32",
        },
    },
    "execution": "float32",
}


def source(results=None, **more):
    """A report's source; `more` takes the place of what it would give."""
    results = under_distortions(with_frozen_points(study(9))) if results is None else results
    given = {
        "results": results,
        "facts": FACTS,
        "created": "2026-01-02T03:04:05+00:00",
        "item": shown(results),
        "picked": lambda: found(results),
        "task": lambda: task(found(results)),
        "trials": lambda: trials(len(results.trials)),
        "network": lambda: ("trial 3", trained()),
        "runs": lambda: (run(results), run(results, folder=Path("runs/two"))) if results.front else (),
        "contexts": lambda: contexts(found(results)),
    }
    return ReportSource(**(given | more))


@cache
def trained():
    """A network for the classes of the study, small and untrained."""
    torch.manual_seed(0)
    backbone = load_backbone(smallest_backbone(len(CLASSES)), num_classes=len(CLASSES), input_size=8)
    placed = (Placed(cut_point="0", branch=Fc()), Placed(cut_point="2", branch=Fc()))
    return build_network(small_design(*placed, num_classes=len(CLASSES)), backbone, classes=CLASSES).eval()


def keep_study(database, results, folder, artifacts=lambda trial: {}, most=None):
    """Write a study as `eenas search` leaves it; `artifacts` gives those of a trial, `most` bounds its points."""
    facts = {
        **FACTS,
        "backbone": to_table(BACKBONE),
        "task": "digits",
        "device": "CPU",
        "classes": list(results.classes),
        "folder": str(folder),
        "validation_samples": results.samples,
        "largest_class": results.largest_class,
    }
    StudyRecords(database).save(
        StudyRecord(
            name=results.name,
            identity={},
            identity_digest="",
            settings=to_table(results.settings),
            facts=facts,
            baselines={NETWORKS: [network.to_table() for network in results.networks if network.kind != "trial"]},
        )
    )
    for trial in results.trials:
        network = next((each for each in results.networks if each.trial == trial.number), None)
        TrialRecords(database).save(
            TrialRecord(
                study=results.name,
                number=trial.number,
                state=trial.state,
                design=trial.design,
                points=trial.points[:most],
                right=network.right[:most] if network else (),
                parameters=network.parameters if network else None,
                chosen=trial.chosen,
                values=trial.values,
                reason=trial.reason,
                origin=trial.origin,
                seconds=trial.seconds,
                artifacts=artifacts(trial),
            )
        )


def with_frozen_points(results):
    """The study as if its networks had been tried on the frozen backbone before they were trained."""
    made = (replace(trial, frozen_points=trial.points[: 3 + trial.number]) for trial in results.trials)
    return replace(results, trials=tuple(made))


def under_distortions(results):
    """The study as if its task had distortions."""
    task = replace(
        results.settings.task, distortions=DistortionsSpec(kinds=("gaussian_blur", "fog"), severities=(1, 5))
    )
    return replace(results, settings=replace(results.settings, task=task))


def contexts(picked):
    """The scores of a network in each context, as if distortions added noise to its logits."""
    generator, own, plain = np.random.default_rng(0), {}, {}
    for name, noise in (("clean", 0), ("gaussian_blur:1", 1), ("gaussian_blur:5", 4), ("fog:1", 1), ("fog:5", 2)):
        logits = picked.validation.logits + noise * generator.normal(size=picked.validation.logits.shape)
        table = replace(picked.validation, logits=logits.astype(np.float32))
        own[name] = scores_in(name, picked.item.point.policy, table, picked.temperatures)
        last = replace(table, logits=table.logits[:, -1:], exits=("final",), costs=table.costs.first(1))
        plain[name] = scores_in(name, ONE_EXIT, last, (1.0,))
    return beside_backbone(list(own.values()), plain)


def found(results):
    if shown(results) is None:
        raise FrontError("there is no front yet")
    return picked(results)


def run(results, **changed):
    """The report of a made-up full training of the most accurate design; `changed` takes the place of its fields."""
    item = next(item for item in results.front if item.trial is not None)
    names = [*(placed.cut_point for placed in item.design.branches), "final"]
    exits = tuple(
        ExitFacts(
            name=name,
            structure="fc",
            costs=CostValues({"macs": 1e6 * (k + 1), "latency": 0.5 * (k + 1)}),
            macs_share=0.1 * (k + 1),
            accuracy=0.5 + 0.1 * k,
            temperature=1.2,
            share=share,
            end_to_end=taken(0.6 * (k + 1)),
        )
        for k, (name, share) in enumerate(zip(names, item.point.shares, strict=True))
    )

    def at(accuracy, share):
        """A point of the design with another accuracy, at a share of the backbone's costs."""
        like = single(accuracy, share)
        return replace(item.point, accuracy=accuracy, expected=like.expected)

    values = {
        "folder": Path("runs/one"),
        "study": results.name,
        "task": "digits",
        "device": results.device,
        "design": item.design,
        "backbone": BACKBONE,
        "exits": exits,
        "points": (item.point,),
        "at_shares": {0.25: None, 0.5: at(0.86, 0.49), 1.0: at(0.92, 0.97)},
        "baselines": results.baselines,
        "baselines_at_shares": {"uniform 3 fc": {0.25: None, 0.5: single(0.84, 0.5), 1.0: None}},
        "comparisons": (Comparison(baseline="uniform 3 fc", budget=0.5, difference=0.02, low=0.01, high=0.03),),
        "reported": at(0.915, 0.6),
        "estimate": at(0.905, 0.58),
        "near_threshold": 0,
        "end_to_end_ms": 3.1,
        "classes": CLASSES,
        "test_samples": 500,
        "samples": 100_000,
        "seconds": 300.0,
    }
    return RunReport(**(values | changed))


def taken(milliseconds, spread=0.1):
    """A measured latency."""
    return Latency(
        median_ms=milliseconds,
        p95_ms=1.2 * milliseconds,
        spread=spread,
        repeats=50,
        device="CPU: a processor",
        runtime="torch, segment by segment",
        threads=1,
        batch=1,
        dtype="float32",
    )


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
