"""Progress bars for a terminal or a notebook, as a listener."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eenas.escaping import one_line
from eenas.progress import Advanced, Event, Finished, Listener, Notice, Started


@contextmanager
def bars() -> Iterator[Listener]:
    """Yield a listener that shows a bar on stderr for each phase with a step count, and notices as lines above it."""
    from tqdm.auto import tqdm

    shown: dict[str, Any] = {}

    def end(phase: str) -> None:
        if (bar := shown.pop(phase, None)) is not None:
            bar.close()

    def listener(event: Event) -> None:
        if isinstance(event, Notice):
            tqdm.write(one_line(event.text), file=None if not shown else next(iter(shown.values())).fp)
        elif isinstance(event, Started):
            end(event.phase)
            shown[event.phase] = tqdm(total=event.total, desc=event.phase, leave=True)
        elif isinstance(event, Advanced) and (bar := shown.get(event.phase)) is not None:
            bar.set_postfix_str(one_line(event.detail), refresh=False)
            bar.update(event.done - bar.n)
        elif isinstance(event, Finished):
            if (bar := shown.get(event.phase)) is not None and event.detail:
                bar.set_postfix_str(one_line(event.detail))
            end(event.phase)

    try:
        yield listener
    finally:
        for phase in list(shown):
            end(phase)
