"""The fidelity of a study's brief scores: a summary in words, rows of a table, and everything as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eenas.errors import plural
from eenas.percent import percent
from eenas.results.front import SHARES
from eenas.runs.fidelity import Fidelity
from eenas.runs.fidelity_measures import FidelityMeasure
from eenas.runs.network_scores import NetworkScores
from eenas.runs.rank_correlation import RankCorrelation
from eenas.training.spec import TrainingSpec

HYPERVOLUME = "hypervolume"


@dataclass(frozen=True)
class FidelityRow:
    """One measure as text: networks counted and left out, three rank correlations, and two errors in points."""

    name: str
    networks: str
    left_out: str
    brief_full: str
    frozen_full: str
    brief_frozen: str
    error: str
    absolute_error: str


def fidelity_rows(fidelity: Fidelity) -> list[FidelityRow]:
    """Return a row for each measure; an undefined rank correlation is replaced by the reason."""
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
    """Return sentences on the networks trained, the reliability of brief and frozen scores, and networks left out."""
    last = fidelity.measures[-1]
    lines = [
        f"Study {fidelity.study} on {fidelity.task}: {len(fidelity.networks)} of its {fidelity.offered} networks, each "
        f"trained for {budget(fidelity.brief_training)} by its trial and again for {budget(fidelity.full_training)}, "
        f"on {fidelity.device}."
    ]
    if (tau := last.brief_full.tau) is not None:
        lines.append(
            f"By hypervolume, brief and full scores have a rank correlation of τ = {tau:.2f}: the brief score picks "
            f"the better of two networks in about {percent((1 + tau) / 2, 0)} of the cases."
        )
    if (tau := last.frozen_full.tau) is not None:
        lines.append(f"The score on the frozen backbone, without training the network, has τ = {tau:.2f}.")
    elif last.frozen_full.networks == 0:
        lines.append("There are no scores on the frozen backbone: no trial started from the branch bank.")
    lines += [line for measure in fidelity.measures if (line := _undefined(measure))]
    if fidelity.diverged:
        trials = ", ".join(map(str, fidelity.diverged))
        lines.append(f"Left out: trial {trials}, since its loss was not finite with the larger budget.")
    return tuple(lines)


def fidelity_json(fidelity: Fidelity) -> str:
    """Return everything as JSON: the measures, and each network with its scores by budget."""
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
    """Return the length of a training as text: "1 epoch", "5000 samples" or "30 seconds"."""
    for noun in ("epoch", "sample", "second"):
        if (value := getattr(spec, noun + "s")) is not None:
            return f"{value:g} {noun}{'' if value == 1 else 's'}"
    raise AssertionError("a training has a budget")


def _name(measure: FidelityMeasure) -> str:
    return HYPERVOLUME if measure.share is None else percent(measure.share, 0)


def _tau(found: RankCorrelation) -> str:
    return found.why if found.tau is None else f"{found.tau:.2f}"


def _points(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{100 * value:{sign}.2f}"


def _undefined(measure: FidelityMeasure) -> str:
    """Return a sentence if brief and full scores have no rank correlation, or one with ties; else an empty text."""
    found, name = measure.brief_full, _name(measure)
    if found.why == "too few":
        return f"{name}: {plural(found.networks, 'network reaches', 'networks reach')} it, too few for a ranking."
    if found.why == "all equal":
        return f"{name}: the networks have equal scores, which gives no ranking."
    if found.ties:
        return f"{name}: {plural(found.ties, 'pair')} of networks tie in the brief or in the full score."
    return ""


def _scores(scores: NetworkScores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    by_share: Sequence[tuple[float, float | None]] = list(zip(SHARES, scores.at_shares, strict=True))
    return {"at_shares": {f"{share:g}": value for share, value in by_share}, "hypervolume": scores.hypervolume}
