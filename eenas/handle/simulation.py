"""`eenas.simulate`: replay a controller on recorded samples, before it runs on a device."""

from pathlib import Path
from typing import Any, TypedDict, Unpack

from torch import nn

from eenas.handle.recordings import RecordingSource
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.simulation import Simulation, simulate_stream
from eenas.policies.controllers.stream import Stream
from eenas.policies.exit_table import ExitTable
from eenas.records.stores.places import ArtifactPlace
from eenas.specs import check_options
from eenas.tasks.task import Task


class SourceOptions(TypedDict, total=False):
    """Further options of `simulate`: the fields of `RecordingSource`."""

    data: str | Task | None
    split: str
    storage: str
    artifacts: ArtifactPlace | None
    network: str | None
    backbone: nn.Module | None
    threads: int | None
    trust_code: bool


def simulate(
    source: Recording | ExitTable | str | Path,
    controller: ControllerKind | str = "adaee",
    *,
    stream: Stream | str = "clean",
    rounds: int = 20_000,
    seeds: int = 5,
    **options: Unpack[SourceOptions],
) -> Simulation:
    """Replay a controller on a stream of recorded samples, with several seeds, and compare it with fixed thresholds.

    `source` is an exit table or its `.npz` file, a `.csv` file of confidences, the folder of an exported model or a run
    (with `data`), or the name of a study. `controller` is a kind such as `AdaEE(...)` or a text such as
    "adaee,overhead=0.2". `stream` is a `Stream`, or its phases as text, such as "clean,halved,clean", of `rounds`
    samples altogether. Raises EenasError for a source, controller or stream that does not fit.
    """
    check_options("simulate", options, SourceOptions)
    more: dict[str, Any] = dict(options)
    kind = controller
    if isinstance(kind, str):
        kind = controller_from_text(kind, trust_code=options.get("trust_code", False))
    flow = Stream.read(stream, rounds=rounds) if isinstance(stream, str) else stream
    return simulate_stream(kind, RecordingSource(**more).read(source), flow, seeds=seeds)
