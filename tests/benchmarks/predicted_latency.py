"""Predicted latency, composed of a profile, against the exported programs end to end, for designs drawn from a space.

    python tests/benchmarks/predicted_latency.py FOLDER cifar_resnet20 export
    python tests/benchmarks/predicted_latency.py FOLDER cifar_resnet20 measure docs/predicted_latency.csv

Draws 20 designs for an untrained backbone at 32 px and keeps their programs in FOLDER, where `export` goes on if it was
cut off; it may run on a busy machine. `measure` needs a quiet one for some minutes: in each of 12 rounds (a number
after the CSV says how many) it takes a short profile of the backbone and of all branches, then times every exit of
every design for a moment, batch 1, one thread, so that what slows the machine down for a while meets both. The medians
of the rounds count. Replaces the backbone's rows of the CSV.
"""

import csv
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.backbones.chain import Chain
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.deployment.exit_latency import measure_exits
from eenas.deployment.model_folder import Package, write_folder
from eenas.deployment.onnx_runtime import OnnxRuntime
from eenas.deployment.programs import Programs
from eenas.deployment.runtime import load
from eenas.designs.design import Design, Placed
from eenas.designs.domains import Categorical, Domain, IntRange
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import InfeasibleError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import BranchCost, MemoryCache, Profile, measure_branch, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import exit_costs

DESIGNS, ROUNDS, CLASSES, SIZE = 20, 12, 10, 32
CPU = torch.device("cpu")
SPEC = LatencySpec(runtime="onnxruntime", threads=1, spread=0.01, min_repeats=10, max_repeats=30, seconds=0.25)
Times = NDArray[np.float64]
FIELDS = ("backbone", "design", "exits", "predicted_ms", "measured_ms", "error", "worst_exit_error", "structure")


def space() -> Space:
    """The default space, as far as nothing has to be trained to resolve a proposal."""
    table = load_space("default").to_table()
    table["placement"] = {"kind": ["uniform", "metric", "free"], "metric": ["macs", "parameters"]}
    del table["slot"]
    return Space.from_table(table)


def designs(profile: Profile) -> list[Design]:
    """Different designs with branches, the same ones each time."""
    generator, found, drawn, cache = random.Random(0), {}, space(), MemoryCache()

    def suggest(name: str, domain: Domain) -> str | bool | int | float:
        if isinstance(domain, Categorical):
            return generator.choice(domain.choices)
        if isinstance(domain, IntRange):
            return generator.choice(domain.values())
        return generator.uniform(domain.low, domain.high)

    while len(found) < DESIGNS:
        try:
            design = resolve(
                draw(drawn, suggest),
                drawn,
                profile,
                num_classes=CLASSES,
                input_size=SIZE,
                branch_macs=lambda branch, shape: (
                    measure_branch(branch, shape, CLASSES, device=CPU, latency=None, cache=cache).macs
                ),
            )
        except InfeasibleError:
            continue
        if design.branches:
            found.setdefault(design.architecture_digest, design)
    return list(found.values())


def export(folder: Path, backbone: Backbone, drawn: list[Design]) -> None:
    """Write the programs of every design that has none yet."""
    for number, design in enumerate(drawn):
        if not (folder / str(number) / "eenas.json").exists():
            network = build_network(design, backbone, classes=tuple(map(str, range(CLASSES)))).eval()
            package = Package(
                network=network, backbone=BackboneSpec(name=backbone.name), trained=False, measured={}, card=""
            )
            write_folder(package, folder / str(number), Programs(format="onnx"))
        print("exported", number, flush=True)


class ExportedOnce(OnnxRuntime):
    """The runtime of a study, which keeps the models that it has exported for the next round."""

    def __init__(self, backbone: Backbone) -> None:
        tensors = backbone.module.state_dict().values()
        super().__init__(CPU, weights=sum(each.numel() * each.element_size() for each in tensors))
        self._models: dict[str, Any] = {}

    def _exported(self, export: Callable[[], Any], what: str) -> Any:
        if what not in self._models:
            self._models[what] = super()._exported(export, what)
        return self._models[what]


def predict(backbone: Backbone, chain: Chain, drawn: list[Design], runtime: OnnxRuntime) -> list[Times]:
    """Compose every design's latencies from a profile of the backbone and of the branches alone."""
    profile = profile_backbone(backbone, chain, device=CPU, latency=SPEC, runtime=runtime)
    shapes, cache = {point.name: point.shape for point in profile.cut_points}, MemoryCache()

    def cost(placed: Placed) -> BranchCost:
        shape = shapes[placed.cut_point]
        return measure_branch(placed.branch, shape, CLASSES, device=CPU, latency=SPEC, cache=cache, runtime=runtime)

    found = [exit_costs(design, profile, [cost(placed) for placed in design.branches]) for design in drawn]
    return [costs.latency_ms for costs in found if costs.latency_ms is not None]


def measure(folder: Path) -> Times:
    """The time of every exit of a design's programs."""
    found = measure_exits(load(folder, threads=1), SPEC, device=CPU, runtime="")
    return np.array([each.median_ms for each in found])


def compare(folder: Path, backbone: Backbone, chain: Chain, drawn: list[Design], out: Path, turns: int) -> None:
    """Predict and measure in turns, and write the errors."""
    runtime, rounds = ExportedOnce(backbone), []
    predict(backbone, chain, drawn, runtime)  # exports, and warms up
    for number in range(turns):
        predicted = predict(backbone, chain, drawn, runtime)
        rounds.append((predicted, [measure(folder / str(index)) for index in range(len(drawn))]))
        print("round", number + 1, flush=True)
    rows = []
    for index, design in enumerate(drawn):
        composed, times = (np.median([turn[side][index] for turn in rounds], axis=0) for side in (0, 1))
        errors = composed / times - 1
        rows.append(
            {
                "backbone": backbone.name,
                "design": index,
                "exits": len(times),
                "predicted_ms": round(float(composed.mean()), 4),
                "measured_ms": round(float(times.mean()), 4),
                "error": round(float(composed.mean() / times.mean() - 1), 4),
                "worst_exit_error": round(float(errors[np.abs(errors).argmax()]), 4),
                "structure": design.label(),
            }
        )
        print(index, np.round(composed, 3), np.round(times, 3), np.round(errors, 3), design.label())
    kept = []
    if out.exists():
        with out.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["backbone"] != backbone.name]
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    each = [abs(row["error"]) for row in rows]
    print(
        f"{backbone.name}: median error {statistics.median(each):.1%}, largest {max(each):.1%}, of {len(each)} designs"
    )


def main(folder: str, name: str, step: str, out: str = "predicted_latency.csv", rounds: int | str = ROUNDS) -> None:
    """Do one step for one backbone."""
    torch.manual_seed(0)
    backbone = load_backbone(BackboneSpec(name=name), num_classes=CLASSES, input_size=SIZE)
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    place = Path(folder) / name
    place.mkdir(parents=True, exist_ok=True)
    drawn = designs(profile_backbone(backbone, chain, device=CPU, latency=None))
    if step == "export":
        export(place, backbone, drawn)
        return
    if step != "measure":
        raise SystemExit(f"the step is export or measure, got {step!r}")
    lacking = [number for number in range(len(drawn)) if not (place / str(number) / "eenas.json").exists()]
    if lacking:
        raise SystemExit(f"designs {lacking} have no programs in {place} yet; do the step export first")
    compare(place, backbone, chain, drawn, Path(out), int(rounds))


if __name__ == "__main__":
    main(*sys.argv[1:6])
