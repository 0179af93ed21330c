"""Output on exported models: the parity in a sentence; latencies, answers and recalibrations as tables."""

from collections.abc import Iterable

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.deployment.calibrated import Calibration
from eenas.escaping import one_line
from eenas.percent import percent
from eenas.policies.costs import KNOWN, LATENCY, MACS
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.file_answers import FileAnswer
from eenas.programs.parity import Parity
from eenas.programs.remote.codec_report import CodecEffect
from eenas.reporting.facts.wording import cost_text, cost_word, milliseconds, place

_LONGEST_TEXT = 160  # characters of a text in a table


def parity_line(found: Parity) -> str:
    """Return the result of a comparison in one sentence, with the number of decisions close to a threshold."""
    source = f"{found.data} ({found.split})" if found.data else found.split
    return (
        f"parity on {found.samples} samples of {source}: logits differ by at most {max(found.differences):.1e}; "
        f"{found.near} samples are within 1e-5 of a threshold, {found.differing} of them decided differently, no others"
    )


def latency_table(found: ProgramLatency) -> Table:
    """Return the predicted and measured latency of each exit, and its mean at the operating point."""
    made = table(
        f"Latency: {found.conditions}",
        *("leaving at", "predicted", "measured", "difference"),
        right=(1, 2, 3),
    )
    for k, name in enumerate(found.exits):
        predicted = found.predicted_ms[k] if found.predicted_ms else None
        made.add_row(place(name), *_compared(predicted, found.measured_ms[k]))
    if found.expected_ms is not None:
        measured, predicted = found.expected_ms
        made.add_section()
        made.add_row("expected, at the operating point", *_compared(predicted, measured))
    if found.prediction:
        made.caption, made.caption_justify = f"predicted: {found.prediction}", "left"
    return made


def _compared(predicted: float | None, measured: float) -> tuple[str, str, str]:
    difference = "–" if predicted is None else f"{100 * (predicted / measured - 1):+z.1f} %"
    return milliseconds(predicted), milliseconds(measured), difference


def answers_table(answers: Iterable[FileAnswer]) -> Table:
    """Return a table with one row for each sample."""
    answers = list(answers)
    remote = any(one.answered is not None for one in answers)
    of_texts = any(one.text is not None for one in answers)
    names = (
        "text" if of_texts else "file",
        "class",
        "confidence",
        "exit",
        *(("answered by",) if remote else ()),
        "time",
    )
    made = table("", *names, right=(2, len(names) - 1))
    for one in answers:
        number = "" if one.number is None else f"[{one.number}]"
        what = one_line(str(one.file)) + number if one.text is None else _cut(one_line(one.text))
        time = milliseconds(one.milliseconds)
        where = (one.answered or "",) if remote else ()
        made.add_row(what, one_line(one.label), percent(one.confidence), one.exit, *where, time)
    return made


def _cut(text: str) -> str:
    """Return a text for a cell of a table; a long one is cut, and `--json` has it whole."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text):,} characters)"


def codec_table(effects: Iterable[CodecEffect]) -> Table:
    """Return the size of a sample and the answers with each codec and compression at a split."""
    made = table("At the split", *("codec", "compression", "bytes", "same answer", "accuracy"), right=(2, 3, 4))
    for one in effects:
        accuracy = "–" if one.accuracy is None else percent(one.accuracy)
        made.add_row(one.codec, one.compression, f"{one.bytes_sent:,.0f}", percent(one.agreement), accuracy)
    return made


def calibration_table(found: Calibration) -> Table:
    """Return the old and the new policy on the samples that were not used for the fit."""
    others = [LATENCY, *(name for name in found.after.expected if name not in KNOWN)]
    units = {each.name: each.unit for each in found.costs}
    made = table(
        f"{found.samples:,} test samples, fitted on {found.fitted_on:,} others; accuracy of the final exit "
        f"{percent(found.final_accuracy)}",
        *("", "accuracy", "MACs", *map(cost_word, others), "% leaving at each", "leaves at"),
        right=range(1, 3 + len(others)),
    )
    points: list[tuple[str, OperatingPoint | None]] = [("before", found.before), ("after", found.after)]
    for name, point in points:
        if point is not None:
            made.add_row(
                name,
                percent(point.accuracy),
                percent(point.expected[MACS] / found.backbone_macs),
                *(cost_text(name, point.expected.get(name), units.get(name, "")) for name in others),
                " ".join(f"{100 * share:.0f}" for share in point.shares),
                point.policy.label(),
            )
    return made
