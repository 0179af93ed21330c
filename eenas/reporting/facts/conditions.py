"""The conditions under which a study's numbers were measured, and the commands and settings to reproduce them."""

import shlex
from collections.abc import Mapping
from typing import Any

import tomli_w

from eenas import __version__
from eenas.errors import plural
from eenas.percent import percent
from eenas.policies.costs import KNOWN, LATENCY, CostFacts, key_of
from eenas.records.stores.places import place_text
from eenas.reporting.facts.summary import shown
from eenas.reporting.facts.wording import cost_text, cost_word, each_batch, milliseconds, quantity
from eenas.reporting.report.report_source import PAGE, ReportSource
from eenas.results.choice import Choice
from eenas.results.results import StudyResults
from eenas.specs import to_table
from eenas.training.spec import TrainingSpec

SETTINGS = "study.toml"
"""The file name for the saved settings in the commands."""


def conditions(source: ReportSource) -> list[tuple[str, str]]:
    """Return the definition and the measurement of each kind of number, as pairs of a name and a sentence."""
    results, facts = source.results, source.facts
    backbone, search = results.backbone, results.settings.search
    hours = sum(trial.seconds for trial in results.trials) / 3600
    full = budget(results.settings.full_training)
    return [
        (
            "accuracy",
            "of the validation split, which scores the search; temperatures and thresholds are fitted on the "
            "calibration split; the test split was not used (eenas train uses it, once)",
        ),
        (
            "MACs",
            "multiply-accumulates of one sample (1 MAC = 2 FLOPs) up to the exit, all branches on the way included; "
            f"the plain backbone has {quantity(backbone.macs, 'MACs')} and {quantity(backbone.parameters)} parameters",
        ),
        ("latency", _latency(results, facts)),
        *((cost_word(each.name), _own_cost(results, each)) for each in results.costs if each.name not in KNOWN),
        (
            "networks",
            f"trained briefly: {budget(results.settings.training)} each unless stopped early, "
            f"{facts.get('execution', 'precision not recorded')}; eenas train trains fully ({full})",
        ),
        ("backbone", f"{backbone.name}, weights: {backbone.weights}, {percent(backbone.accuracy)} on validation"),
        (
            "search",
            f"{plural(len(results.trials), 'trial')} of {search.trials}, {hours:.1f} h in total, sampler "
            f"{search.sampler}, seed {results.settings.seed}, objectives {', '.join(search.objectives)}",
        ),
        (
            "study",
            f"{results.name}, started {source.created[:16].replace('T', ' ')} UTC; report by eenas {__version__}",
        ),
    ]


def budget(spec: TrainingSpec) -> str:
    """Return the length of a training as text: "12,500 samples", "2 epochs" or "60 s"."""
    if spec.samples is not None:
        return plural(spec.samples, "sample").replace(str(spec.samples), f"{spec.samples:,}")
    return (
        f"{spec.epochs:g} epoch{'' if spec.epochs == 1 else 's'}" if spec.epochs is not None else f"{spec.seconds:g} s"
    )


def commands(source: ReportSource) -> list[str]:
    """Return the command lines to repeat the search, print its front, train the drawn design and write the report.

    If the plain backbone is the better choice, the training command is left out. A backbone that was given as an object
    can be given again only in Python; a comment says so.
    """
    results, asked = source.results, source.asked
    place = ["--storage", results.storage, "--name", results.name]
    trust = ["--trust-code"] if source.study.trust_code or results.settings.names_code else []
    artifacts = [] if source.study.artifacts is None else ["--artifacts", place_text(source.study.artifacts)]
    device = ["--device", _device(results.device)]
    drawn = _flags(asked.choice)
    usual = Choice() if results.recommended else Choice(knee=True)
    plain = not drawn and (best := shown(results)) is not None and best.kind == "plain"  # nothing to train
    profile = [] if results.latency_profile is None else ["--latency-profile", results.latency_profile]
    runs = [] if asked.runs is None else ["--runs", str(asked.runs)]
    page = [] if asked.page == PAGE else ["--page", asked.page]
    lines = [
        ["search", "--study", SETTINGS, *profile, *place, *artifacts, *device, *trust],
        ["front", *place, *trust],
        ["train", *(drawn or _flags(usual)), *place, *artifacts, *device, *trust],
        ["report", *drawn, *place, *artifacts, *runs, *page, *trust, "--out", "report.html"],
    ]
    typed = [shlex.join(["eenas", *line]) for line in lines]
    if plain:
        del typed[2]
    if results.backbone.weights != "own":
        return typed
    comment = f"# {results.backbone.name} was given as an object: search and train again in Python, with backbone=..."
    return [comment, typed[1], typed[-1]]


def _flags(choice: Choice | None) -> list[str]:
    """Return the flags of `eenas train` and `eenas report` for this choice; none for None."""
    if choice is None:
        return []
    limits = to_table(choice.limits)
    values = {**vars(choice), "knee": choice.knee or None, **{name: limits[name] for name in limits if _has_flag(name)}}
    words = [word for name in limits if not _has_flag(name) for word in ("--limit", f"{name}={limits[name]}")]
    for name, value in values.items():
        if name not in ("limits", "confidence") and value is not None:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [f"{value}"])]
    return words or ["--best"]


def _has_flag(name: str) -> bool:
    """Whether a limit has its own flag; limits on costs that a study adds have none."""
    known = (f"{prefix}{key_of(cost)}" for cost in KNOWN for prefix in ("max_", "max_worst_"))
    return name in ("min_accuracy", "max_parameters", "max_branches", *known)


def _device(text: str) -> str:
    """Return the value of --device for the full name of a device."""
    return next((kind for kind in ("cpu", "mps") if text.startswith(f"{kind.upper()}")), "cuda")


def settings_text(results: StudyResults) -> str:
    """Return the whole study file as TOML, with overrides, for `eenas search --study`."""
    return tomli_w.dumps(to_table(results.settings))


def _latency(results: StudyResults, facts: Mapping[str, Any]) -> str:
    if LATENCY not in results.backbone.costs:
        return "not measured in this study"
    timed = facts.get("profile", {}).get("total_latency")
    spec = results.settings.latency
    text = f"of {each_batch(spec.batch)} on {timed['device'] if timed else results.device}"
    if timed:
        text += (
            f", {timed['runtime']}, {plural(timed['threads'], 'thread')}, {timed['dtype']}; medians of up to "
            f"{spec.max_repeats} runs (the backbone's prefixes: {timed['repeats']}, spread {percent(timed['spread'])} "
            "of the median, interquartile)"
        )
        if timed.get("doubtful"):
            text += "; they are doubtful, since the machine was never idle"
    if results.latency_profile is not None:
        text += f"; taken from the latency profile {results.latency_profile}, not measured in this study"
    joined = ", with the overhead of joining the segments' programs" if spec.runtime == "onnxruntime" else ""
    verb = "train" if results.latency_profile is None else "export"
    return (
        f"{text}; that of an exit is composed of the prefix up to its cut point and every branch on the way{joined}; "
        f"eenas {verb} also measures it end to end; "
        f"the plain backbone takes {milliseconds(results.backbone.costs[LATENCY])}"
    )


def _own_cost(results: StudyResults, cost: CostFacts) -> str:
    """Describe a cost that the study adds."""
    whole = cost_text(cost.name, results.backbone.costs.get(cost.name), cost.unit)
    return (
        f"of a sample up to the exit, {cost.provenance}; the backbone's prefix and every branch on the way are added "
        f"up; the plain backbone costs {whole}"
    )
