"""A run: the folder of a full training, and the report in it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from eenas.backbones.transforms.kinds import transform_from_table
from eenas.backbones.transforms.transform import Transform
from eenas.bounds import read_json
from eenas.designs.design import Design
from eenas.errors import EenasError, ExportError, PluginError, plural
from eenas.files import write_text
from eenas.measurement.latency import Latency
from eenas.measurement.profile import Profile
from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.class_weights import measure_name
from eenas.policies.costs import KNOWN, CostFacts
from eenas.policies.learned.comparison import PolicyComparison
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.json_files import is_number, is_text, is_whole, need, shown
from eenas.results.results import Baseline, Comparison
from eenas.runs.codecs.codec_report import CodecReport
from eenas.runs.context_report import ContextReport
from eenas.runs.exit_facts import ExitFacts
from eenas.runs.expert_report import ExpertReport
from eenas.specs import digest, from_table, to_table
from eenas.study.rivals.known_networks import BACKBONE
from eenas.study.settings.limits import Limits
from eenas.tasks.kinds import load_kind

REPORT, DESIGN, ORIGIN = "report.json", "design.json", "study.json"
TRAINING, CHECKPOINT, WEIGHTS = "training.json", "checkpoint.pt", "weights.safetensors"


_BROKEN = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, EenasError)


def largest_words(share: float | None) -> str:
    """Return the share of the largest class in words after a number of samples, or "" if it is unknown."""
    return "" if not share else f" ({percent(share)} of them of the largest class)"


def worse_words(worse: Comparison) -> str:
    """Return text on the network that was kept since training made it worse, and on the difference on validation."""
    return (
        f"on validation it ended {-100 * worse.difference:.1f} points below the network before full training "
        f"({100 * worse.low:+z.1f} to {100 * worse.high:+z.1f}, 95 %), so the earlier one is kept: {worse.baseline}"
    )


def origin(study: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """Return the content of ORIGIN, which identifies the study of a run."""
    return {"study": study, "identity": digest(identity)}


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """The result of full training, with policies fitted on calibration and evaluated on test.

    `at_shares` maps a share of the backbone's MACs to the point fitted for it (None: out of reach). `reported` is the
    point for the design's own target, and `estimate` the search's estimate of it. `end_to_end_ms` is the measured
    median time of `predict` for one test sample, for comparison with the composed latency in `reported`. `transform` is
    that of the backbone. `code_folder` is the base of a `./file.py` that names the backbone or a branch.

    `network` is the name in the study ("" for a design from a file), `parameters` the number of parameters, and
    `limits` those for which the network was chosen. `violations` is how far `reported` exceeds each limit on the test
    split (at most 0: it is met; infinite: the quantity was not recorded). `accepted_drop` is the largest accepted loss
    of accuracy against the backbone (None: unspecified). `worse` is how far training ended below the earlier network,
    which was kept then (None: the trained network is kept). `warnings` are those of the study, `costs` describes each
    cost, and `largest_class` is the share of the largest class of the test split. `contexts` is the report on
    distorted test samples, if the task has distortions. `policies` compares learned policies with one common threshold.
    `experts` is the report on the experts for distorted images, if the study asks for some. `codec` is that on the
    codec of features between tiers, if the study states one.

    Latencies are for batches of `latency_batch` samples, except `end_to_end_ms`. `latency` is that of the whole
    backbone as one program, with the conditions of measurement, and `profile` the costs of its parts (None: not
    recorded).
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
    transform: Transform | None = None
    code_folder: str | None = None
    latency_batch: int = 1
    latency: Latency | None = None
    network: str = ""
    parameters: int | None = None
    limits: Limits = field(default_factory=Limits)
    violations: Mapping[str, float] = field(default_factory=dict)
    accepted_drop: float | None = None
    worse: Comparison | None = None
    warnings: tuple[str, ...] = ()
    largest_class: float | None = None
    balanced: bool = False
    costs: tuple[CostFacts, ...] = tuple(KNOWN.values())
    contexts: ContextReport | None = None
    policies: tuple[PolicyComparison, ...] = ()
    experts: ExpertReport | None = None
    profile: Profile | None = None
    codec: CodecReport | None = None

    @property
    def measure(self) -> str:
        """The name of the accuracies in the report: "accuracy" or "balanced accuracy"."""
        return measure_name(balanced=self.balanced)

    @property
    def is_compared(self) -> bool:
        """Whether rivals were trained with the design."""
        return any(baseline.name != BACKBONE for baseline in self.baselines)

    def with_limits(self, chosen_limits: Limits, accepted_drop: float | None) -> Self:
        """Return the same report with other limits and the violations of them."""
        branches = len(self.design.exits) - 1
        found = chosen_limits.violations(
            self.reported, backbone_macs=self.backbone.macs, branches=branches, parameters=self.parameters
        )
        return replace(self, limits=chosen_limits, violations=found, accepted_drop=accepted_drop)

    def json_table(self) -> dict[str, Any]:
        """Return the report without its folder as JSON data. Budgets are keys, and an infinite violation is null."""
        table: dict[str, Any] = to_table(self)
        del table["folder"]
        table["design"] = self.design.to_table()
        table["at_shares"] = _pack(self.at_shares)
        table["baselines_at_shares"] = {name: _pack(points) for name, points in self.baselines_at_shares.items()}
        table["violations"] = {name: by if math.isfinite(by) else None for name, by in self.violations.items()}
        return table

    def save(self) -> None:
        """Write the report into its folder, and the files of the transform."""
        text = json.dumps(self.json_table(), indent=2, allow_nan=False) + "\n"
        for name, content in ({} if self.transform is None else self.transform.files).items():
            write_text(self.folder / name, content)
        write_text(self.folder / REPORT, text)

    @classmethod
    def read(cls, folder: str | Path, *, trust_code: bool = False) -> Self:
        """Return the report in the folder of a run.

        Raises ExportError if there is none or it is not whole, and PluginError for a design with custom branches
        without `trust_code`.
        """
        path = Path(folder)
        try:
            if not (path / REPORT).is_file():
                raise FileNotFoundError
            table = read_json(path / REPORT)
            home = Path(table["code_folder"]) if table.get("code_folder") else None
            load_kind(table.get("transform"), trust_code=trust_code, relative_to=home)
            found = cls(
                folder=path,
                study=table["study"],
                task=table["task"],
                device=table["device"],
                design=Design.from_table(table["design"], trust_code=trust_code, relative_to=home),
                backbone=from_table(BackboneFacts, table["backbone"]),
                exits=tuple(from_table(ExitFacts, exit_) for exit_ in table["exits"]),
                points=tuple(OperatingPoint.from_table(point) for point in table["points"]),
                at_shares=_unpack(table["at_shares"]),
                baselines=tuple(
                    Baseline(name=entry["name"], points=tuple(OperatingPoint.from_table(p) for p in entry["points"]))
                    for entry in table["baselines"]
                ),
                baselines_at_shares={name: _unpack(points) for name, points in table["baselines_at_shares"].items()},
                comparisons=tuple(from_table(Comparison, entry) for entry in table["comparisons"]),
                reported=OperatingPoint.from_table(table["reported"]),
                estimate=OperatingPoint.from_table(table["estimate"]) if "estimate" in table else None,
                near_threshold=table["near_threshold"],
                end_to_end_ms=table.get("end_to_end_ms"),
                classes=tuple(table["classes"]),
                test_samples=table["test_samples"],
                samples=table["samples"],
                seconds=table["seconds"],
                transform=transform_from_table(table["transform"], key="transform") if "transform" in table else None,
                code_folder=table.get("code_folder"),
                latency_batch=table.get("latency_batch", 1),
                latency=Latency.from_table(table["latency"]) if table.get("latency") else None,
                network=table.get("network", ""),
                parameters=table.get("parameters"),
                limits=from_table(Limits, table.get("limits", {})),
                violations={
                    name: math.inf if by is None else by for name, by in dict(table.get("violations", {})).items()
                },
                accepted_drop=table.get("accepted_drop"),
                worse=from_table(Comparison, table["worse"]) if table.get("worse") else None,
                warnings=tuple(table.get("warnings", ())),
                largest_class=table.get("largest_class"),
                balanced=table.get("balanced", False),
                costs=tuple(from_table(CostFacts, each) for each in table["costs"])
                if "costs" in table
                else tuple(KNOWN.values()),
                contexts=from_table(ContextReport, table["contexts"]) if "contexts" in table else None,
                policies=tuple(from_table(PolicyComparison, each) for each in table.get("policies", ())),
                experts=from_table(ExpertReport, table["experts"], key="experts") if "experts" in table else None,
                profile=from_table(Profile, table["profile"], key="profile") if "profile" in table else None,
                codec=from_table(CodecReport, table["codec"], key="codec") if "codec" in table else None,
            )
            found.check()
        except OSError:
            raise ExportError(f"{path}: holds no {REPORT}; give the folder of a finished `eenas train`") from None
        except PluginError:
            raise
        except _BROKEN as error:
            known = isinstance(error, EenasError)
            reason = shown(str(error).removeprefix(f"{path / REPORT}: "), 300) if known else "a value has another kind"
            raise ExportError(
                f"{path / REPORT}: not a report of eenas ({reason}); delete it and rerun `eenas train` to restore it "
                "from the trained weights"
            ) from None
        return found

    def check(self) -> None:
        """Raise ExportError if its parts belong to different networks, or a value has a wrong type."""
        kinds = (one.kind for one in self.policies)
        texts = (self.study, self.task, self.device, *self.classes, *self.warnings, *kinds)
        optional = tuple(text for text in (self.network, self.code_folder) if text)
        for text in (*texts, *optional):
            need(is_text(text, 10_000), "a name", "a text", text)
        names, exits = len(self.classes), [exit_.name for exit_ in self.exits]
        need(names in (0, self.design.num_classes), "classes", f"{self.design.num_classes} names", names)
        need(exits == list(self.design.exits), "exits", f"those of the design, {list(self.design.exits)}", exits)
        need(all(exit_.temperature > 0 for exit_ in self.exits), "temperatures", "positive", self.exits)
        need(self.backbone.macs > 0, "the backbone's MACs", "positive", self.backbone.macs)
        for point in (self.reported, *self.points, *self.at_shares.values()):
            if point is not None:
                of = point.policy.num_exits
                need(of == len(self.exits), "a policy", f"for {plural(len(self.exits), 'exit')}", of)
        if self.experts is not None:
            of = self.experts.policy.num_exits
            need(of == len(self.exits), "the policy of experts", f"for {plural(len(self.exits), 'exit')}", of)
        if self.estimate is not None:  # of the searched network, from which a static one is cut
            of, least = self.estimate.policy.num_exits, len(self.exits)
            fits = of >= least if self.design.static else of == least
            need(fits, "the policy of the search's estimate", f"for {plural(least, 'exit')}", of)
        counts = ("near_threshold", "test_samples", "samples", "latency_batch", "parameters")
        for name in counts:
            value = getattr(self, name)
            need((name == "parameters" and value is None) or is_whole(value, 0, 2**63), name, "a whole number", value)
        known = ((name, by) for name, by in self.violations.items() if by != math.inf)
        for name, value in (("seconds", self.seconds), ("end_to_end_ms", self.end_to_end_ms or 0), *known):
            need(is_number(value, -1e300), name, "a number", value)


def _pack(points: Mapping[float, OperatingPoint | None]) -> dict[str, Any]:
    return {f"{share:g}": None if point is None else point.to_table() for share, point in points.items()}


def _unpack(table: Mapping[str, Any]) -> dict[float, OperatingPoint | None]:
    return {float(share): None if point is None else OperatingPoint.from_table(point) for share, point in table.items()}
