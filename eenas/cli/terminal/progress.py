"""Progress on stderr: bars with remaining time on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from eenas.cli.terminal.console import Screen, err, is_first_process, printable
from eenas.escaping import one_line
from eenas.progress import Advanced, Event, Finished, Listener, Notice, Started, silent

LINE_EVERY = 10.0
"""The minimum time in seconds between two plain lines of a phase, except the first, the last and whole trials."""


@contextmanager
def listening(console: Screen | None = None) -> Iterator[Listener]:
    """Yield a listener that shows progress while the block runs."""
    console = console or err()
    if not is_first_process():
        yield silent
    elif console.is_terminal:
        with _progress(console) as progress:
            yield Bars(progress)
    else:
        yield Lines(lambda text: console.print(one_line(text), soft_wrap=True))


class Bars:
    """A bar for each active phase, removed at its end. Notices and finished phases remain above the bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Notice(text):
                self._progress.console.print(one_line(text), soft_wrap=True)
            case Started(phase, total):
                self._end(phase)
                self._tasks[phase] = self._progress.add_task(printable(phase), total=total, detail="")
            case Advanced(phase, done, detail):
                if phase not in self._tasks:
                    self._tasks[phase] = self._progress.add_task(printable(phase), total=None, detail="")
                self._progress.update(self._tasks[phase], completed=done, detail=printable(detail))
            case Finished(phase, detail):
                self._end(phase)
                text = f"{phase}: {detail}" if detail else phase
                self._progress.console.print(one_line(f"✓ {text}"), soft_wrap=True)

    def _end(self, phase: str) -> None:
        if (task := self._tasks.pop(phase, None)) is not None:
            self._progress.remove_task(task)


class Lines:
    """Lines at the start and end of each phase, at each step of a counted phase, and occasionally in between."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._totals: dict[str, int | None] = {}
        self._first: dict[str, tuple[float, float]] = {}
        self._last: dict[str, tuple[float, str]] = {}

    def __call__(self, event: Event) -> None:
        """Write one event, or skip it if the last line of its phase is recent."""
        match event:
            case Notice(text):
                self._write(text)
            case Started(phase, total):
                self._totals[phase] = total
                self._first.pop(phase, None)
                self._last[phase] = (self._clock(), "")
                self._write(f"{phase} ...")
            case Advanced(phase, done, detail):
                self._advance(phase, done, detail)
            case Finished(phase, detail):
                self._last.pop(phase, None)
                self._write(f"{phase}: done" + (f", {detail}" if detail else ""))

    def _advance(self, phase: str, done: float, detail: str) -> None:
        now, total = self._clock(), self._totals.get(phase)
        first_time, first_done = self._first.setdefault(phase, (now, done))
        text = f"{phase}: {_steps(done, total)}" + (f", {detail}" if detail else "")
        last_time, last_text = self._last.get(phase, (-LINE_EVERY, ""))
        if text == last_text or now - last_time < LINE_EVERY:
            return
        self._last[phase] = (now, text)
        if total and done > first_done:
            left = (now - first_time) / (done - first_done) * (total - done)
            text += f", {_duration(left)} left" if left > 0 else ""
        self._write(text)


class _Steps(ProgressColumn):
    """ "3 of 16", a percentage if the steps are hundredths, or nothing if the total is unknown."""

    def render(self, task: Task) -> Text:
        """Return the text of one bar."""
        return Text("" if task.total is None else _steps(task.completed, int(task.total)))


def _progress(console: Screen) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=18),
        _Steps(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )


def _steps(done: float, total: int | None) -> str:
    if total is None:
        return f"{done:g}"
    return f"{done:.0f} %" if total == 100 and done != total else f"{done:g} of {total}" if total != 100 else "100 %"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
