"""What leaving at each exit of an exported model takes, end to end, beside what was predicted for it."""

import importlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.errors import ExportError
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.rounds import Part, Rounds, measure_latency
from eenas.policies.costs import KNOWN, LATENCY, LONGEST, MACS, CostValues, key_of
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.manifest import MANIFEST, one_error, read_table
from eenas.programs.manifest_checks import check_network
from eenas.programs.runtime import ExportedModel
from eenas.specs import from_table


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How an export times its programs: as `spec` says (its runtime aside) on `device`.

    `predicted_ms` (K, or none) were composed of parts for the same conditions, as `prediction` says.
    """

    spec: LatencySpec
    device: torch.device
    predicted_ms: tuple[float, ...] = ()
    prediction: str = ""


@dataclass(frozen=True, kw_only=True)
class ProgramLatency:
    """The milliseconds of leaving at each of the K `exits`, for a batch as `conditions` say.

    `measured_ms` are end to end, in the runtime that runs the programs; `predicted_ms` were composed of parts, as
    `prediction` says, and are empty where nothing was. `shares` of samples leave at the exits at the operating point
    (empty where none was fitted).
    """

    exits: tuple[str, ...]
    measured_ms: tuple[float, ...]
    conditions: str
    predicted_ms: tuple[float, ...] = ()
    prediction: str = ""
    shares: tuple[float, ...] = ()

    @property
    def expected_ms(self) -> tuple[float, float | None] | None:
        """The mean at the operating point, measured and predicted; None where there is no operating point."""
        if not self.shares:
            return None
        predicted = float(np.dot(self.shares, self.predicted_ms)) if self.predicted_ms else None
        return float(np.dot(self.shares, self.measured_ms)), predicted

    def put(self, table: dict[str, Any]) -> None:
        """Write it into the table of a manifest: the programs', every exit's and every operating point's."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del own["shares"]  # follow from the operating point
        table["program"]["latency"] = own
        measured = table["measured"]
        if "exits" not in measured:
            return
        measured["latency"] = self.conditions
        if "costs" in measured:
            others = [each for each in measured["costs"] if each["name"] not in (MACS, LATENCY)]
            provenance = f"measured end to end: {self.conditions}"[:LONGEST]
            timed = replace(KNOWN[LATENCY], provenance=provenance)
            measured["costs"] = [asdict(KNOWN[MACS]), asdict(timed), *others]
        for exit_, time in zip(measured["exits"], self.measured_ms, strict=True):
            exit_[key_of(LATENCY)] = time
        for name in {"reported", "points"} & measured.keys():
            kept = measured[name]
            retimed = [self.of_point(OperatingPoint.from_table(each)).to_table() for each in _listed(kept)]
            measured[name] = retimed if isinstance(kept, list) else retimed[0]

    def of_point(self, point: OperatingPoint) -> OperatingPoint:
        """An operating point with these latencies."""
        reached = self.measured_ms[: point.policy.last_reachable + 1]
        mean = float(np.dot(point.shares, self.measured_ms))
        expected = CostValues({**point.expected, LATENCY: mean})
        return replace(point, expected=expected, worst=CostValues({**point.worst, LATENCY: max(reached)}))

    @classmethod
    def of(cls, folder: Path) -> "ProgramLatency":
        """What the export to a folder measured. Raises ExportError where it measured nothing."""
        manifest = read_table(folder)
        program = manifest.get("program")
        table = program.get("latency") if isinstance(program, dict) else None
        if table is None:
            raise ExportError(f"{folder}: its programs were not timed; export them again")
        with one_error(folder / MANIFEST):
            check_network(manifest)
            found = from_table(cls, table, key="program.latency")
            shares = tuple(manifest["measured"].get("reported", {}).get("shares", ()))
            counts = {len(found.exits), len(found.measured_ms), len(found.predicted_ms or found.exits)}
            if counts != {len(manifest["exits"])} or len(shares) not in (0, len(found.exits)):
                raise ExportError(f"program.latency must be of {len(manifest['exits'])} exits, got {sorted(counts)}")
            return replace(found, shares=shares)


def time_programs(model: ExportedModel, table: dict[str, Any], timing: Timing, inputs: NDArray[np.float32]) -> None:
    """Time an exported model and put what was found into the table of its manifest.

    `model` is open as `timing` says. Every exit is timed for a batch, and `predict` for one of `inputs` after another
    where there is a policy. The plain backbone's latency, which is not of this runtime, is taken out.
    """
    found = measure_exits(model, timing.spec, device=timing.device, runtime=named(model.manifest.kind))
    ProgramLatency(
        exits=model.exits,
        measured_ms=tuple(each.median_ms for each in found),
        conditions=found[-1].conditions,
        predicted_ms=timing.predicted_ms,
        prediction=timing.prediction,
    ).put(table)
    measured = table["measured"]
    if "backbone" in measured:
        measured["backbone"].pop(key_of(LATENCY), None)
    if model.policy is not None:
        measured["end_to_end_ms"] = measure_answers(model, inputs, timing.spec, timing.device)


def measure_exits(
    model: ExportedModel, spec: LatencySpec, *, device: torch.device, runtime: str
) -> tuple[Latency, ...]:
    """Time in turns how long `spec.batch` samples take to leave at each exit, with decisions; `runtime` names it.

    The model has to be open on `device` with the threads of `spec`. A model without a policy decides by a threshold.
    Rising: where an exit comes out faster than one before it, which is noise, it has that one's times.
    """
    x = np.zeros((spec.batch, *model.manifest.preprocessing.shape), dtype=np.float32)
    timed = ExportedModel(model.manifest, model.segments)
    timed.set_policy(model.policy or _stand_in(len(model.exits)))
    parts = [Part(open=lambda k=k: partial(timed.reach, x, k), runtime=runtime) for k in range(len(model.exits))]  # type: ignore[misc]
    # the host's counter also on CUDA: an answer is one in the host's memory
    found = Rounds(device=device, spec=spec, host_clock=True).measure(parts, rising=range(len(parts)))
    return tuple(accumulate(found, partial(max, key=lambda latency: latency.median_ms)))


def measure_answers(
    model: ExportedModel, inputs: NDArray[np.float32], spec: LatencySpec, device: torch.device
) -> float:
    """The median milliseconds of `predict` for one sample, over `inputs` [N, ...] in turn."""
    turn = cycle(range(len(inputs)))
    each = measure_latency(
        lambda: model.predict(inputs[(index := next(turn)) : index + 1]),
        device=device,
        spec=replace(spec, batch=1),
        host_clock=True,
        varies=True,
    )
    return each.median_ms


def named(kind: str) -> str:
    """The name of the runtime that runs programs of a kind here, with its version."""
    library = {"onnx": "onnxruntime", "pt2": "torch"}[kind]
    return f"{library} {importlib.import_module(library).__version__}, one program for each segment"


def _stand_in(exits: int) -> ThresholdPolicy:
    """A policy to decide by where none was fitted."""
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * exits, thresholds=(0.5,) * (exits - 1))


def _listed(kept: Any) -> Sequence[Any]:
    return kept if isinstance(kept, list) else [kept]
