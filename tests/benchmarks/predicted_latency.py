"""Predicted latency, composed of a profile, against the exported programs end to end, for designs drawn from a space.

    python tests/benchmarks/predicted_latency.py FOLDER cifar_resnet20 export
    python tests/benchmarks/predicted_latency.py FOLDER cifar_resnet20 predict
    python tests/benchmarks/predicted_latency.py FOLDER cifar_resnet20 measure docs/predicted_latency.csv

Draws 20 designs for an untrained backbone at 32 px and keeps programs and measurements in FOLDER, so that each step
goes on where it was cut off. `export` may run on a busy machine, the two others need a quiet one and take some minutes
each. The designs are measured in turns, three times over, batch 1, one thread. Replaces the backbone's rows of the CSV.
"""

import csv
import json
import random
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.deployment.exit_latency import measure_exits
from eenas.deployment.model_folder import Package, write_folder
from eenas.deployment.onnx_runtime import OnnxRuntime
from eenas.deployment.programs import Programs
from eenas.deployment.runtime import load
from eenas.designs.design import Design
from eenas.designs.domains import Categorical, Domain, IntRange
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import InfeasibleError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import MeasurementCache, Profile, measure_branch, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import exit_costs
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache

DESIGNS, ROUNDS, CLASSES, SIZE = 20, 3, 10, 32
CPU = torch.device("cpu")
SPEC = LatencySpec(runtime="onnxruntime", seconds=0.5, threads=1)
FIELDS = ("backbone", "design", "exits", "predicted_ms", "measured_ms", "error", "worst_exit_error", "structure")


def space() -> Space:
    """The default space, as far as nothing has to be trained to resolve a proposal."""
    table = load_space("default").to_table()
    table["placement"] = {"kind": ["uniform", "metric", "free"], "metric": ["macs", "parameters"]}
    del table["slot"]
    return Space.from_table(table)


def designs(profile: Profile, cache: MeasurementCache) -> list[Design]:
    """Different designs with branches, the same ones each time."""
    generator, found, drawn = random.Random(0), {}, space()

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


def predict(folder: Path, backbone: Backbone, chain: Chain, drawn: list[Design], cache: MeasurementCache) -> None:
    """Compose every design's latencies from a profile of the backbone and of the branches alone."""
    runtime = OnnxRuntime(CPU)
    profile = profile_backbone(backbone, chain, device=CPU, latency=SPEC, cache=cache, runtime=runtime)
    shapes = {point.name: point.shape for point in profile.cut_points}
    rows = []
    for design in drawn:
        branches = [
            measure_branch(
                placed.branch,
                shapes[placed.cut_point],
                CLASSES,
                device=CPU,
                latency=SPEC,
                cache=cache,
                runtime=runtime,
            )
            for placed in design.branches
        ]
        costs = exit_costs(design, profile, branches)
        assert costs.latency_ms is not None
        rows.append(costs.latency_ms.tolist())
    (folder / "predicted.json").write_text(json.dumps(rows))
    print(profile.joints, profile.decision, profile.total_latency)


def measure(folder: Path, name: str, drawn: list[Design], out: Path) -> None:
    """Time every exit of every design's programs, and write the errors."""
    predicted = [np.array(row) for row in json.loads((folder / "predicted.json").read_text())]
    measured: list[list[np.ndarray]] = [[] for _ in drawn]
    for _ in range(ROUNDS):
        for number in range(len(drawn)):
            model = load(folder / str(number), threads=1)
            found = measure_exits(model, SPEC, device=CPU, runtime="")
            measured[number].append(np.array([each.median_ms for each in found]))
    rows = []
    for number, design in enumerate(drawn):
        times = np.median(measured[number], axis=0)
        errors = predicted[number] / times - 1
        rows.append(
            {
                "backbone": name,
                "design": number,
                "exits": len(times),
                "predicted_ms": round(float(predicted[number].mean()), 4),
                "measured_ms": round(float(times.mean()), 4),
                "error": round(float(predicted[number].mean() / times.mean() - 1), 4),
                "worst_exit_error": round(float(errors[np.abs(errors).argmax()]), 4),
                "structure": design.label(),
            }
        )
        print(number, np.round(predicted[number], 3), np.round(times, 3), np.round(errors, 3), design.label())
    kept = []
    if out.exists():
        with out.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["backbone"] != name]
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    each = [abs(row["error"]) for row in rows]
    print(f"{name}: median error {statistics.median(each):.1%}, largest {max(each):.1%}, over {len(each)} designs")


def main(folder: str, name: str, step: str, out: str = "predicted_latency.csv") -> None:
    """Do one step for one backbone."""
    torch.manual_seed(0)
    backbone = load_backbone(BackboneSpec(name=name), num_classes=CLASSES, input_size=SIZE)
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    place = Path(folder) / name
    place.mkdir(parents=True, exist_ok=True)
    cache = DatabaseCache(Database(f"sqlite:///{place}/measurements.db"))
    drawn = designs(profile_backbone(backbone, chain, device=CPU, latency=None), cache)
    if step == "export":
        export(place, backbone, drawn)
        return
    drawn = [design for number, design in enumerate(drawn) if (place / str(number) / "eenas.json").exists()]
    if step == "predict":
        predict(place, backbone, chain, drawn, cache)
    elif step == "measure":
        measure(place, name, drawn, Path(out))
    else:
        raise SystemExit(f"the step is export, predict or measure, got {step!r}")


if __name__ == "__main__":
    main(*sys.argv[1:5])
