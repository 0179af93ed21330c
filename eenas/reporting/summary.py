"""What a study found, in words: the same few lines in the terminal, in the study's note and above every figure."""

from eenas.reporting.front_table import states
from eenas.reporting.wording import each_batch, milliseconds, percent, plural, quantity, times
from eenas.search.results import BackboneFacts, FrontPoint, StudyResults

ACCEPTED_DROP = 0.01


def summary(results: StudyResults) -> tuple[str, ...]:
    """Three to six sentences: the trials, the backbone, the cheapest design within a point, the knee, the baselines."""
    lines = [_trials(results), _backbone(results)]
    if not results.front:
        lines.append("No trial has finished with an operating point yet, so there is no front.")
        return tuple(lines)
    cheapest = cheapest_within(results, ACCEPTED_DROP)
    if cheapest is not None:
        lines.append(f"Within 1 point of the backbone: trial {cheapest.trial} {_keeps(cheapest, results.backbone)}.")
    else:
        best = results.front[0]
        what = _keeps(best, results.backbone)
        lines.append(f"No design is within 1 point of the backbone; the nearest, trial {best.trial}, {what}.")
    knee = next((item for item in results.front if item.knee), None)
    if knee is not None and knee is not cheapest:
        lines.append(f"At the knee of the front: trial {knee.trial} {_keeps(knee, results.backbone)}.")
    lines.append(hypervolumes(results))
    if not results.beats_baselines:
        lines.append("This front does not beat its baselines: more trials, or the baseline itself, may serve better.")
    return tuple(lines)


def cheapest_within(results: StudyResults, drop: float) -> FrontPoint | None:
    """The point of the front with the fewest expected MACs that loses at most `drop` (a share, 0.01 is one point)."""
    floor = results.backbone.accuracy - drop - 1e-9
    return min((item for item in results.front if item.point.accuracy >= floor), key=_macs, default=None)


def recommended(results: StudyResults) -> FrontPoint | None:
    """The point that headlines and reports show: the cheapest within a point of the backbone, else the knee."""
    return cheapest_within(results, ACCEPTED_DROP) or next((item for item in results.front if item.knee), None)


def hypervolumes(results: StudyResults) -> str:
    """Both hypervolumes in one sentence, with their reference point."""
    text = f"Hypervolume: accuracy × MACs {results.hypervolume_macs:.4f}"
    if results.hypervolume_latency is not None:
        text += f", accuracy × latency {results.hypervolume_latency:.4f}"
    return text + f" (from 1.1 × the backbone's cost and {percent(results.chance)} accuracy)."


def headline(results: StudyResults, item: FrontPoint | None) -> str:
    """One short line: what the design at an operating point buys; `recommended` gives the one for a headline."""
    if item is None:
        return "no design yet"
    return f"trial {item.trial} {_keeps(item, results.backbone)}"


def _keeps(item: FrontPoint, backbone: BackboneFacts) -> str:
    ours, whole = percent(item.point.accuracy), percent(backbone.accuracy)
    better = item.point.accuracy > backbone.accuracy
    accuracy = f"reaches {ours} (the backbone: {whole})" if better else f"keeps {ours} of {whole}"
    text = f"{accuracy} at {percent(item.macs_share, 0)} of the MACs"
    return text if item.latency_share is None else f"{text} and {times(item.latency_share)} the latency"


def _trials(results: StudyResults) -> str:
    counted = ", ".join(f"{number} {state}" for state, number in states(results).items())
    text = f"Study {results.name} on {results.task}: {plural(len(results.trials), 'trial')}"
    return f"{text} ({counted})." if counted else f"{text}."


def _backbone(results: StudyResults) -> str:
    backbone, batch = results.backbone, results.settings.latency.batch
    text = (
        f"The plain {backbone.name} reaches {percent(backbone.accuracy)} on the validation split "
        f"with {quantity(backbone.macs, 'MACs')}"
    )
    if backbone.latency_ms is not None:
        text += f" and {milliseconds(backbone.latency_ms)} {each_batch(batch)} on {results.latency_place}"
    return text + "."


def _macs(item: FrontPoint) -> float:
    return item.point.expected_macs
