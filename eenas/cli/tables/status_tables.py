"""The status of a study on the terminal."""

from eenas.cli.tables.tables import table
from eenas.cli.terminal.console import Screen
from eenas.errors import plural
from eenas.percent import percent
from eenas.results.status import BestTrial, StudyStatus


def print_status(console: Screen, status: StudyStatus) -> None:
    """Print a study's progress, its workers and the leases that they hold.

    Of a study that is done, only the workers that are alive are listed: nothing is left to do for the others.
    """
    for line in status_lines(status):
        console.print(line)
    workers = [each for each in status.workers if each.is_alive or not status.is_done]
    if workers:
        made = table("Workers", "name", "device", "trial", "doing", "seen", right=(2,))
        for each in workers:
            worker = each.worker
            seen = duration(worker.seen_seconds_ago) + " ago"
            trial = "" if worker.trial is None else str(worker.trial)
            made.add_row(worker.name, worker.device, trial, worker.doing, seen if each.is_alive else f"silent, {seen}")
        console.print()
        console.print(made)
    if status.leases:
        waiting = ", ".join(each.worker.name for each in status.workers if each.waits_for)
        for_it = (waiting,) if len(status.leases) == 1 else ()  # else each worker says what it waits for
        made = table("Shared work in progress", "what", "worker", *(("who waits",) if for_it else ()))
        for lease in status.leases:
            made.add_row(lease.name, lease.worker, *for_it)
        console.print(made)


def status_lines(status: StudyStatus) -> list[str]:
    """Return the lines on trials, pace, time left and the best network."""
    states = ", ".join(f"{number} {state}" for state, number in status.states.items())
    moving = [f"{status.running} running"] if status.running else []
    if status.waiting:
        moving.append(
            f"{status.waiting} queued" + (" beyond the total (a larger --trials runs them)" if status.is_done else "")
        )
    lines = [
        f"study {status.study} in {status.storage}",
        f"trials: {status.ended} of {status.total} ended" + (f" ({states})" if states else ""),
    ]
    if moving:
        lines.append(f"in Optuna: {', '.join(moving)}")
    lines.append(f"workers: {len(status.alive)} alive" + _silent(status))
    if status.pace is not None:
        pace = status.pace
        lines.append(
            f"pace: {pace.per_hour:,.0f} trials per hour ({plural(pace.trials, 'trial')} in {duration(pace.seconds)})"
        )
    if status.is_done:
        lines.append("time left: none, all trials have ended")
    elif (left := status.seconds_left) is not None:
        lines.append(f"time left: about {duration(left)}, if the other trials take as long as the last ones")
    else:
        lines.append(f"time left: unknown, {'few trials have ended yet' if status.alive else 'no worker is alive'}")
    lines += [_best(each) for each in status.best]
    if status.others:
        shown = ", ".join(status.others[:5]) + (", ..." if len(status.others) > 5 else "")
        lines.append(f"other studies in the storage (--name): {shown}")
    return lines


def duration(seconds: float) -> str:
    """Return a duration in one or two units, such as "42 s", "3 min 5 s" or "2 d 4 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError


def _silent(status: StudyStatus) -> str:
    silent = len(status.workers) - len(status.alive)
    if status.is_done:
        return f", {silent} gone without notice (killed, suspended or cut off)" if silent else ""
    return f", {silent} silent (killed, suspended or cut off)" if silent else ""


def _best(best: BestTrial) -> str:
    where = "of all trials" if best.within is None else f"within {percent(best.within, 0)} of the backbone's MACs"
    return f"best accuracy {where}: {percent(best.accuracy)} (trial {best.number})"
