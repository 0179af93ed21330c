"""The designs that the benchmark of equal training compares: what each is, who found it, and in what time."""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from strategies import arm_design

from eenas.designs.design import Design, TrainingChoice
from eenas.designs.known import default_choices, known_designs
from eenas.errors import FrontError, InfeasibleError
from eenas.progress import Event, Finished, Notice, Started
from eenas.results.choice import Choice, choose_design
from eenas.results.read import open_results
from eenas.results.search import search
from eenas.study.context.bank import PHASE, Bank
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.rivals.frozen_front import first_branches, lay_bank
from eenas.study.settings.limits import Limits
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.study.trials.design_training import network_digest
from eenas.study.trials.trial import propose

optuna.logging.set_verbosity(optuna.logging.WARNING)
SHARES = (0.25, 0.5, 0.75, 1.0)
STUDY = "equal-training"
SEARCH, RANDOM, STATIC = "search", "random", "static"
RANDOMS = 8
JOINT = TrainingChoice(strategy="joint", backbone_rate=1.0)
"""The other recipe of static networks: the labels alone, everything at the full rate."""


@dataclass(frozen=True)
class Arm:
    """A design to train, which took `seconds` and `samples` to be found."""

    name: str
    design: Design
    seconds: float = 0.0
    samples: int = 0

    @property
    def network(self) -> str:
        """A name for what is trained: arms that differ in their policy alone share it."""
        return ("static-" if self.design.static else "") + network_digest(self.design)[:12]

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {**vars(self), "design": self.design.to_table()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Arm":
        """What `to_table` wrote."""
        return cls(**{**table, "design": Design.from_table(table["design"])})


def lay(given: argparse.Namespace, seed: int) -> StudyContext:
    """The study's context with another seed and without latencies; all seeds share its bank and its splits."""
    overrides = ["latency.seconds=0.05", *(f"training.samples={n}" for n in (given.trial_samples,) if n)]
    settings, folder = load_settings(
        given.study, task=given.task, weights=given.weights, seed=seed, overrides=tuple(overrides)
    )
    given.out.mkdir(parents=True, exist_ok=True)
    return make_context(
        settings, StudyReference(storage=f"sqlite:///{given.out}/context.db"), device="cpu", folder=folder
    )


def run_search(given: argparse.Namespace) -> bool:
    """Search, or go on with the search, for `given.minutes`; whether all its trials are done."""
    file = given.out / "search.json"
    spent = json.loads(file.read_text()) if file.exists() else {"seconds": 0.0, "bank": 0}
    before, began = dict(spent), time.monotonic()

    def listener(event: Event) -> None:
        if isinstance(event, Started) and event.phase == PHASE:
            spent["bank"] += 1
        if isinstance(event, Notice):
            print(event.text, flush=True)
        if isinstance(event, Finished) or time.monotonic() - began > spent["seconds"] - before["seconds"] + 1:
            spent["seconds"] = before["seconds"] + time.monotonic() - began
            write_json(file, spent)  # a search that is killed has its time counted too

    given.out.mkdir(parents=True, exist_ok=True)
    results = search(
        study=given.study,
        task=given.task,
        weights=given.weights,
        trials=given.trials,
        timeout=60 * given.minutes,
        seed=given.search_seed,
        storage=f"sqlite:///{given.out}/search.db",
        name=STUDY,
        device="cpu",
        overrides=tuple(f"training.samples={n}" for n in (given.trial_samples,) if n),
        listener=listener,
    )
    settings = results.settings
    done = len(results.trials) >= settings.search.trials
    banked = (settings.bank.training or settings.training).samples or 0
    spent |= {
        "seconds": before["seconds"] + time.monotonic() - began,
        "samples": sum(trial.samples for trial in results.trials) + banked * spent["bank"],
        "trials": len(results.trials),
        "done": done,
    }
    write_json(file, spent)
    print(f"{len(results.trials)} of {settings.search.trials} trials after {spent['seconds']:.0f} s", flush=True)
    return done


def recommended(storage: str, share: float) -> Design | None:
    """The design that the study recommends for a share of the backbone's MACs, None where it has none."""
    try:
        return choose_design(open_results(storage, STUDY), Choice(limits=Limits(max_macs=share))).design
    except FrontError as error:
        print(error, flush=True)
        return None


def find_arms(given: argparse.Namespace) -> list[Arm]:
    """Every arm, found once and kept; those of the search are there when it is done."""
    file = given.out / "arms.json"
    kept = {table["name"]: Arm.from_table(table) for table in json.loads(file.read_text())} if file.exists() else {}
    missing: list[Callable[[], list[Arm]]] = []
    if not kept:
        missing.append(lambda: _rivals(lay(given, given.search_seed)))
    spent = given.out / "search.json"
    if not any(name.startswith(SEARCH) for name in kept) and spent.exists():
        took = json.loads(spent.read_text())
        if took.get("done"):
            missing.append(lambda: _searched(given, took))
    for find in missing:
        kept |= {arm.name: arm for arm in find()}
        write_json(file, [arm.to_table() for arm in kept.values()])
    return sorted(kept.values(), key=lambda arm: not arm.name.startswith(SEARCH))


def _searched(given: argparse.Namespace, took: Mapping[str, Any]) -> list[Arm]:
    found = {share: recommended(f"sqlite:///{given.out}/search.db", share) for share in SHARES}
    return [
        Arm(f"{SEARCH} {share:.0%}", design, seconds=took["seconds"], samples=took["samples"])
        for share, design in found.items()
        if design is not None
    ]


def _rivals(on: StudyContext) -> list[Arm]:
    """All arms but the search's: hand-placed ones cost nothing to find, the others what the bank took."""
    known = dict(known_designs(on.settings.space, on.profiled_backbone, uniform_counts=(6, 8)))
    arms = [Arm(name, design) for name, design in known.items() if name.startswith("uniform")]
    arms += [Arm(name.upper(), arm_design(on, name)) for name in ("sdn", "ztw")]
    began, bank = time.monotonic(), Bank(on)
    front = lay_bank(on, bank)
    seconds, samples = time.monotonic() - began, bank.samples
    arms += [Arm("frozen front", design, seconds, samples) for design in front.designs[:1]]
    arms += [Arm(name, design, seconds, samples) for name, design in _static(on, bank).items()]
    return arms + [Arm(f"{RANDOM} {number}", design) for number, design in enumerate(_random(on, bank), 1)]


def _static(on: StudyContext, bank: Bank) -> dict[str, Design]:
    """For each share the deepest cut point that keeps it, with the bank's best structure there, in two recipes."""
    training, policy = default_choices(on.settings.space)
    order = {point.name: number for number, point in enumerate(on.profile.cut_points)}
    entries = []
    for placed in first_branches(on):
        design = replace(on.plain_design(), branches=(placed,), static=True, training=training, policy=policy)
        accuracy = bank.exit_tables(design, on.costs(design))["calibration"].exit_accuracy()[0]
        entries.append(
            (on.costs(design).costs["macs"][0] / on.profile.total_macs, order[placed.cut_point], accuracy, design)
        )
    found = {}
    for share in SHARES:
        fitting = [entry for entry in entries if entry[0] <= share]
        if fitting:
            design = max(fitting, key=lambda entry: entry[1:3])[3]
            joint = replace(JOINT, learning_rate=training.learning_rate)
            found[f"{STATIC} {share:.0%}"] = design
            found[f"{STATIC} {share:.0%}, joint"] = replace(design, training=joint)
    return found


def _random(on: StudyContext, bank: Bank) -> list[Design]:
    """Designs drawn evenly from the space, each another network."""
    sampler = optuna.samplers.RandomSampler(seed=on.settings.seed)
    study = optuna.create_study(sampler=sampler, directions=["maximize"])
    found: dict[str, Design] = {}
    while len(found) < RANDOMS:
        try:
            design = propose(study.ask(), on, bank)
        except InfeasibleError:
            continue
        if design.branches:
            found.setdefault(network_digest(design), design)
    return list(found.values())


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
