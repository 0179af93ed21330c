"""The end-to-end latency of leaving at each exit of an exported model, beside the predicted latency."""

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
from eenas.programs.manifest import MANIFEST, export_errors, read_table
from eenas.programs.manifest_checks import check_network
from eenas.programs.runtime import ExportedModel
from eenas.specs import from_table


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The settings for timing the programs of an export on `device`. The runtime in `spec` is ignored.

    `predicted_ms` [K] is the composed latency under the same conditions, described by `prediction`. Empty if unknown.
    """

    spec: LatencySpec
    device: torch.device
    predicted_ms: tuple[float, ...] = ()
    prediction: str = ""


@dataclass(frozen=True, kw_only=True)
class ProgramLatency:
    """The latency in milliseconds of leaving at each of the K `exits`, for a batch under `conditions`.

    `measured_ms` is end to end, in the runtime of the programs. `predicted_ms` is composed of parts, as described by
    `prediction`; empty without a prediction. `shares` are the shares of samples that leave at each exit at the
    operating point; empty if no policy was fitted.
    """

    exits: tuple[str, ...]
    measured_ms: tuple[float, ...]
    conditions: str
    predicted_ms: tuple[float, ...] = ()
    prediction: str = ""
    shares: tuple[float, ...] = ()

    @property
    def expected_ms(self) -> tuple[float, float | None] | None:
        """The measured and the predicted mean at the operating point, or None without an operating point."""
        if not self.shares:
            return None
        predicted = float(np.dot(self.shares, self.predicted_ms)) if self.predicted_ms else None
        return float(np.dot(self.shares, self.measured_ms)), predicted

    def write_into(self, table: dict[str, Any]) -> None:
        """Write the latencies into a manifest's table: programs, exits and operating points."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del own["shares"]  # they follow from the operating point
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
            points = [self.retimed(OperatingPoint.from_table(each)).to_table() for each in _listed(kept)]
            measured[name] = points if isinstance(kept, list) else points[0]

    def retimed(self, point: OperatingPoint) -> OperatingPoint:
        """Return an operating point with these latencies."""
        reached = self.measured_ms[: point.policy.last_reachable + 1]
        mean = float(np.dot(point.shares, self.measured_ms))
        expected = CostValues({**point.expected, LATENCY: mean})
        return replace(point, expected=expected, worst=CostValues({**point.worst, LATENCY: max(reached)}))

    @classmethod
    def of(cls, folder: Path) -> "ProgramLatency":
        """Return the latency that an export to `folder` measured. Raises ExportError if it measured none."""
        manifest = read_table(folder)
        program = manifest.get("program")
        table = program.get("latency") if isinstance(program, dict) else None
        if table is None:
            raise ExportError(f"{folder}: its programs were not timed; export them again")
        with export_errors(folder / MANIFEST):
            check_network(manifest)
            found = from_table(cls, table, key="program.latency")
            shares = tuple(manifest["measured"].get("reported", {}).get("shares", ()))
            counts = {len(found.exits), len(found.measured_ms), len(found.predicted_ms or found.exits)}
            if counts != {len(manifest["exits"])} or len(shares) not in (0, len(found.exits)):
                raise ExportError(f"program.latency must have {len(manifest['exits'])} exits, got {sorted(counts)}")
            return replace(found, shares=shares)


def time_programs(model: ExportedModel, table: dict[str, Any], timing: Timing, inputs: NDArray[np.float32]) -> None:
    """Time an exported model and write the results into the table of its manifest.

    `model` must be open with the device and threads of `timing`. Every exit is timed for a batch. With a policy,
    `predict` is also timed, for one of the `inputs` after another. The latency of the plain backbone is removed from
    the table because it was measured in another runtime.
    """
    found = measure_exits(model, timing.spec, device=timing.device, runtime=runtime_name(model.manifest.kind))
    ProgramLatency(
        exits=model.exits,
        measured_ms=tuple(each.median_ms for each in found),
        conditions=found[-1].conditions,
        predicted_ms=timing.predicted_ms,
        prediction=timing.prediction,
    ).write_into(table)
    measured = table["measured"]
    if "backbone" in measured:
        measured["backbone"].pop(key_of(LATENCY), None)
    if model.policy is not None:
        measured["end_to_end_ms"] = measure_answers(model, inputs, timing.spec, timing.device)


def measure_exits(
    model: ExportedModel, spec: LatencySpec, *, device: torch.device, runtime: str
) -> tuple[Latency, ...]:
    """Return the latency of leaving at each exit for `spec.batch` samples, decisions included.

    The exits are timed in turns. The model must be open on `device` with the threads of `spec`; `runtime` is its name.
    A model without a policy decides by a threshold. Latencies never decrease: an exit that appears faster than an
    earlier one gets the latency of the earlier one, since the difference is noise.
    """
    x = model.manifest.preprocessing.blank(spec.batch)
    timed = ExportedModel(model.manifest, model.segments)
    timed.set_policy(model.policy or _stand_in(len(model.exits)))
    parts = [Part(open=lambda k=k: partial(timed.reach, x, k), runtime=runtime) for k in range(len(model.exits))]  # type: ignore[misc]
    # the host's clock on CUDA, too: the answer ends in the host's memory
    found = Rounds(device=device, spec=spec, host_clock=True).measure(parts, rising=range(len(parts)))
    return tuple(accumulate(found, partial(max, key=lambda latency: latency.median_ms)))


def measure_answers(
    model: ExportedModel, inputs: NDArray[np.float32], spec: LatencySpec, device: torch.device
) -> float:
    """Return the median time in milliseconds of `predict` for single samples, cycling through `inputs` [N, ...]."""
    turn = cycle(range(len(inputs)))
    each = measure_latency(
        lambda: model.predict(inputs[(index := next(turn)) : index + 1]),
        device=device,
        spec=replace(spec, batch=1),
        host_clock=True,
        varies=True,
    )
    return each.median_ms


def runtime_name(kind: str) -> str:
    """Return the name and version of the runtime that runs programs of this kind here."""
    library = {"onnx": "onnxruntime", "pt2": "torch"}[kind]
    return f"{library} {importlib.import_module(library).__version__}, one program for each segment"


def _stand_in(exits: int) -> ThresholdPolicy:
    """Return a threshold policy for a model without a fitted one."""
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * exits, thresholds=(0.5,) * (exits - 1))


def _listed(kept: Any) -> Sequence[Any]:
    return kept if isinstance(kept, list) else [kept]
