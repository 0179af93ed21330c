"""A run: the folder that full training makes, and the report in it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from eenas.backbones.transform import InputTransform
from eenas.bounds import DAMAGE, MOST_JSON, parse_json, read_file
from eenas.designs.design import Design
from eenas.errors import EenasError, ExportError, PluginError
from eenas.files import write_whole
from eenas.measurement.latency import Latency
from eenas.policies.operating_point import OperatingPoint
from eenas.search.known_networks import BACKBONE
from eenas.search.limits import Limits
from eenas.search.results import BackboneFacts, Baseline, Comparison
from eenas.specs import Extended, digest, from_table, read_fields, to_table

REPORT, DESIGN, ORIGIN = "report.json", "design.json", "study.json"
TRAINING, CHECKPOINT, WEIGHTS = "training.json", "checkpoint.pt", "weights.safetensors"


def origin(study: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """What a run says in ORIGIN of the study that it comes from."""
    return {"study": study, "identity": digest(identity)}


@dataclass(frozen=True, kw_only=True)
class ExitFacts:
    """One exit on the test split: cost of leaving there, accuracy of all samples forced to it, share that leaves.

    `latency_ms` is composed from what the search measured, `end_to_end` is how long the trained network itself takes
    for a batch that leaves there (None where that was not recorded).
    """

    name: str
    structure: str
    macs: float
    macs_share: float
    latency_ms: float | None
    accuracy: float
    temperature: float
    share: float
    end_to_end: Latency | None = None


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What full training came to. Policies are fitted on calibration; accuracies and costs are of the test split.

    `at_shares` maps a share of the backbone's MACs to the point fitted for it (None: out of reach); `reported` is the
    point for the design's own target, `estimate` what the search had said of that point. `end_to_end_ms` is the
    median time of `predict` for one test sample, measured, beside the composed figure in `reported`. `transform` is
    the backbone's; `code_folder` is what a `./file.py` that names the backbone or a branch is relative to.
    `network` is its name in the study ("" for a design from a file), `parameters` what it has, `limits` what it was
    chosen for, and `violations` by how much `reported` exceeds each of them on the test split (at most 0: it holds);
    `accepted_drop` is what it was to lose at most against the backbone (None: nothing was said), `warnings` are the
    study's. Latencies are of `latency_batch` samples at once, that of `end_to_end_ms` aside, and `latency`, the whole
    backbone's as one program, says how they were taken.
    """

    folder: Path
    study: str
    task: str
    device: str
    design: Design
    backbone: BackboneFacts
    exits: tuple[ExitFacts, ...]
    points: tuple[OperatingPoint, ...]
    at_shares: Mapping[float, OperatingPoint | None]
    baselines: tuple[Baseline, ...]
    baselines_at_shares: Mapping[str, Mapping[float, OperatingPoint | None]]
    comparisons: tuple[Comparison, ...]
    reported: OperatingPoint
    estimate: OperatingPoint | None
    near_threshold: int
    end_to_end_ms: float | None
    classes: tuple[str, ...]
    test_samples: int
    samples: int
    seconds: float
    transform: InputTransform | None = None
    code_folder: str | None = None
    latency_batch: int = 1
    latency: Latency | None = None
    network: str = ""
    parameters: int | None = None
    limits: Limits = field(default_factory=Limits)
    violations: Mapping[str, Extended] = field(default_factory=dict)
    accepted_drop: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_compared(self) -> bool:
        """Whether rivals were trained beside the design."""
        return any(baseline.name != BACKBONE for baseline in self.baselines)

    def held_against(self, chosen_limits: Limits, accepted_drop: float | None) -> Self:
        """The same report held against other limits."""
        branches = len(self.design.exits) - 1
        found = chosen_limits.violations(
            self.reported, backbone_macs=self.backbone.macs, branches=branches, parameters=self.parameters
        )
        return replace(self, limits=chosen_limits, violations=found, accepted_drop=accepted_drop)

    def save(self) -> None:
        """Write the report into its folder."""
        table = to_table(self)
        del table["folder"]
        table["design"] = self.design.to_table()
        table["at_shares"] = _pack(self.at_shares)
        table["baselines_at_shares"] = {name: _pack(points) for name, points in self.baselines_at_shares.items()}
        text = json.dumps(table, indent=2) + "\n"
        write_whole(self.folder / REPORT, lambda file: file.write_text(text, encoding="utf-8"))

    @classmethod
    def read(cls, folder: str | Path, *, trust_code: bool = False) -> Self:
        """The report of a run's folder. Raises ExportError when there is none, or when it is not whole.

        A design with branches of the user's own code is read only with `trust_code`, else PluginError is raised.
        """
        path = Path(folder)
        try:
            table: dict[str, Any] = parse_json(read_file(path / REPORT, MOST_JSON), finite=False)
            home = Path(table["code_folder"]) if table.get("code_folder") else None
            values = {
                "folder": path,
                "study": table["study"],
                "task": table["task"],
                "device": table["device"],
                "design": Design.from_table(table["design"], trust_code=trust_code, relative_to=home),
                "backbone": from_table(BackboneFacts, {"latency_ms": None, **table["backbone"]}),
                "exits": tuple(from_table(ExitFacts, {"latency_ms": None, **exit_}) for exit_ in table["exits"]),
                "points": _points(table["points"]),
                "at_shares": _unpack(table["at_shares"]),
                "baselines": tuple(
                    Baseline(name=str(entry["name"]), points=_points(entry["points"])) for entry in table["baselines"]
                ),
                "baselines_at_shares": {name: _unpack(points) for name, points in table["baselines_at_shares"].items()},
                "comparisons": tuple(from_table(Comparison, entry) for entry in table["comparisons"]),
                "reported": OperatingPoint.from_table(table["reported"]),
                "estimate": OperatingPoint.from_table(table["estimate"]) if "estimate" in table else None,
                "near_threshold": table["near_threshold"],
                "end_to_end_ms": table.get("end_to_end_ms"),
                "classes": tuple(table["classes"]),
                "test_samples": table["test_samples"],
                "samples": table["samples"],
                "seconds": table["seconds"],
                "transform": from_table(InputTransform, table["transform"]) if "transform" in table else None,
                "code_folder": table.get("code_folder"),
                "latency_batch": table.get("latency_batch", 1),
                "latency": Latency.from_table(table["latency"]) if table.get("latency") else None,
                "network": table.get("network", ""),
                "parameters": table.get("parameters"),
                "limits": from_table(Limits, table.get("limits", {})),
                "violations": dict(table.get("violations", {})),
                "accepted_drop": table.get("accepted_drop"),
                "warnings": tuple(table.get("warnings", ())),
            }
            return read_fields(cls, values)
        except OSError:
            raise ExportError(f"{path}: holds no {REPORT}; give a folder that `eenas train` finished") from None
        except PluginError:
            raise
        except (*DAMAGE, EenasError) as error:
            raise ExportError(f"{path / REPORT}: not a report of eenas ({error}); run `eenas train` again") from None


def _pack(points: Mapping[float, OperatingPoint | None]) -> dict[str, Any]:
    return {f"{share:g}": None if point is None else point.to_table() for share, point in points.items()}


def _points(tables: Iterable[Mapping[str, Any]]) -> tuple[OperatingPoint, ...]:
    return tuple(OperatingPoint.from_table(table) for table in tables)


def _unpack(table: Mapping[str, Any]) -> dict[float, OperatingPoint | None]:
    return {float(share): None if point is None else OperatingPoint.from_table(point) for share, point in table.items()}
