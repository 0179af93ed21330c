"""What brief scores of a study are worth: the comparison in words, as rows of a table, and whole as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eenas.percent import percent
from eenas.reporting.facts.wording import plural
from eenas.results.front import SHARES
from eenas.runs.fidelity import Fidelity
from eenas.runs.fidelity_measures import FidelityMeasure
from eenas.runs.network_scores import NetworkScores
from eenas.runs.rank_correlation import Agreement
from eenas.training.spec import TrainingSpec

HYPERVOLUME = "hypervolume"


@dataclass(frozen=True)
class FidelityRow:
    """One measure as text: how many networks, how many left out, three rank correlations and two errors in points."""

    name: str
    networks: str
    left_out: str
    brief_full: str
    frozen_full: str
    brief_frozen: str
    error: str
    absolute_error: str


def fidelity_rows(fidelity: Fidelity) -> list[FidelityRow]:
    """A row for each measure; a rank correlation that is not defined says why in its place."""
    return [
        FidelityRow(
            name=_name(measure),
            networks=str(measure.networks),
            left_out=str(measure.left_out),
            brief_full=_tau(measure.brief_full),
            frozen_full=_tau(measure.frozen_full),
            brief_frozen=_tau(measure.brief_frozen),
            error=_points(measure.error, sign="+"),
            absolute_error=_points(measure.absolute_error),
        )
        for measure in fidelity.measures
    ]


def fidelity_summary(fidelity: Fidelity) -> tuple[str, ...]:
    """Sentences: what was trained, how far the brief and the frozen scores can be trusted, and what was left out."""
    last = fidelity.measures[-1]
    lines = [
        f"Study {fidelity.study} on {fidelity.task}: {len(fidelity.networks)} of its {fidelity.offered} networks, each "
        f"trained for {budget(fidelity.brief_training)} by its trial and again for {budget(fidelity.full_training)}, "
        f"on {fidelity.device}."
    ]
    if (tau := last.brief_full.tau) is not None:
        lines.append(
            f"By hypervolume the brief score orders them as the full one does with τ = {tau:.2f}: of two networks it "
            f"has the better one right in about {percent((1 + tau) / 2, 0)} of the cases."
        )
    if (tau := last.frozen_full.tau) is not None:
        lines.append(f"The score on the frozen backbone, which trains no network, does so with τ = {tau:.2f}.")
    elif last.frozen_full.networks == 0:
        lines.append("There are no scores on the frozen backbone: no trial began from the branch bank.")
    lines += [line for measure in fidelity.measures if (line := _undefined(measure))]
    if fidelity.diverged:
        trials = ", ".join(map(str, fidelity.diverged))
        lines.append(f"Left out: the network of trial {trials} had no finite loss with the larger budget.")
    return tuple(lines)


def fidelity_json(fidelity: Fidelity) -> str:
    """Everything as JSON: the measures, and each network with its scores by budget."""
    table: dict[str, Any] = {
        "study": fidelity.study,
        "storage": fidelity.storage,
        "task": fidelity.task,
        "device": fidelity.device,
        "brief_training": asdict(fidelity.brief_training),
        "full_training": asdict(fidelity.full_training),
        "offered": fidelity.offered,
        "measures": [{"name": _name(measure), **asdict(measure)} for measure in fidelity.measures],
        "networks": [
            {**asdict(each), **{name: _scores(getattr(each, name)) for name in ("brief", "frozen", "full")}}
            for each in fidelity.networks
        ],
        "diverged": list(fidelity.diverged),
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)


def budget(spec: TrainingSpec) -> str:
    """How long a training is: "1 epoch", "5000 samples" or "30 seconds"."""
    for noun in ("epoch", "sample", "second"):
        if (value := getattr(spec, noun + "s")) is not None:
            return f"{value:g} {noun}{'' if value == 1 else 's'}"
    raise AssertionError("a training has a budget")


def _name(measure: FidelityMeasure) -> str:
    return HYPERVOLUME if measure.share is None else percent(measure.share, 0)


def _tau(found: Agreement) -> str:
    return found.why if found.tau is None else f"{found.tau:.2f}"


def _points(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{100 * value:{sign}.2f}"


def _undefined(measure: FidelityMeasure) -> str:
    """A sentence where brief and full scores have no rank correlation, or one with ties."""
    found, name = measure.brief_full, _name(measure)
    if found.why == "too few":
        return f"{name}: {plural(found.networks, 'network reaches', 'networks reach')} it, too few for an order."
    if found.why == "all equal":
        return f"{name}: the networks have equal scores, which are no order."
    if found.ties:
        return f"{name}: {plural(found.ties, 'pair')} of networks tie in the brief or in the full score."
    return ""


def _scores(scores: NetworkScores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    by_share: Sequence[tuple[float, float | None]] = list(zip(SHARES, scores.at_shares, strict=True))
    return {"at_shares": {f"{share:g}": value for share, value in by_share}, "hypervolume": scores.hypervolume}
