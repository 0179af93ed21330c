"""Predicted latency, composed of a profile, against the network or its programs end to end, for designs of a space.

    python tests/benchmarks/predicted_latency.py FOLDER resnet50 onnxruntime export
    python tests/benchmarks/predicted_latency.py FOLDER resnet50 onnxruntime measure
    python tests/benchmarks/predicted_latency.py FOLDER resnet50 onnxruntime measure --busy 2
    python tests/benchmarks/predicted_latency.py FOLDER table docs/predicted_latency.csv

Draws 20 designs for an untrained backbone at 32 px, batch 1, one thread, as a study measures by default. `export`
writes the programs for onnxruntime and may run on a busy machine. `measure` times the backbone and every branch alone,
then every exit of every design end to end, within some minutes. With `--busy N` it times backbone and branches only,
beside N processes that never rest; what they are composed to is held against the quiet end-to-end times. Everything is
kept in FOLDER, where a step that was cut off goes on; designs that were not exported yet are left out. `table` writes a
CSV of all that is there and prints the errors.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.backbones.chain import Chain
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.designs.design import Design, Placed
from eenas.designs.domains import Categorical, Domain, IntRange
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import InfeasibleError
from eenas.measurement.checked import CheckedRuntime
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import BranchCost, MemoryCache, Profile, measure_branch, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import exit_costs
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.exit_latency import measure_exits
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.programs import Programs
from eenas.programs.runtime import load
from eenas.runs.end_to_end import end_to_end
from eenas.study.context.latencies import runtime_for
from eenas.tasks.images.image_input import image_input

DESIGNS, CLASSES, SIZE = 20, 10, 32
CPU = torch.device("cpu")
Times = NDArray[np.float64]
FIELDS = ("backbone", "runtime", "busy", "design", "exits", "predicted_ms", "measured_ms", "error", "worst_exit_error",
          "structure")  # fmt: skip


class FileCache(MemoryCache):
    """Measurements in a file of JSON, so that what was timed once is not timed again."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        if file.exists():
            self._values.update(json.loads(file.read_text(encoding="utf-8")))

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """See `MeasurementCache.put`."""
        kept = super().put(key, value)
        self._file.write_text(json.dumps(self._values), encoding="utf-8")
        return kept

    def medians(self) -> dict[str, float]:
        """The time of every part: prefixes by number, the last of which is the whole, and branches by key."""
        found: dict[str, float] = {}
        for key, value in self._values.items():
            if key.startswith("latency/backbone/"):
                ways = [*value["latency_ms"], value["total_latency"]]
                found |= {f"prefix {k}": each["median_ms"] for k, each in enumerate(ways)}
            elif key.startswith("latency/branch/"):
                found[key] = value["median_ms"]
        return found


def space() -> Space:
    """The default space, as far as nothing has to be trained to resolve a proposal."""
    table = load_space("default").to_table()
    table["placement"] = {"kind": ["uniform", "metric", "free"], "metric": ["macs", "parameters"]}
    del table["slot"]
    return Space.from_table(table)


def designs(profile: Profile) -> list[Design]:
    """Different designs with branches, the same ones each time."""
    generator, drawn, cache = random.Random(0), space(), MemoryCache()
    found: dict[str, Design] = {}

    def suggest(name: str, domain: Domain) -> str | bool | int | float:
        if isinstance(domain, Categorical):
            return generator.choice(domain.choices)
        if isinstance(domain, IntRange):
            return generator.choice(domain.values())
        return generator.uniform(domain.low, domain.high)

    backbone = ProfiledBackbone(
        profile=profile,
        num_classes=CLASSES,
        inputs=image_input(SIZE),
        branch_macs=lambda branch, shape: (
            measure_branch(branch, shape, CLASSES, device=CPU, latency=None, cache=cache).macs
        ),
    )
    while len(found) < DESIGNS:
        try:
            design = resolve(
                draw(drawn, suggest),
                drawn,
                backbone,
            )
        except InfeasibleError:
            continue
        if design.branches:
            found.setdefault(design.architecture_digest, design)
    return list(found.values())


def built(design: Design, backbone: Backbone) -> EarlyExitNetwork:
    """The network of a design, untrained."""
    return build_network(design, backbone, classes=tuple(map(str, range(CLASSES)))).eval()


def export(folder: Path, backbone: Backbone, drawn: list[Design]) -> None:
    """Write the programs of every design that has none yet."""
    for number, design in enumerate(drawn):
        if not (folder / str(number) / "eenas.json").exists():
            package = Package(
                network=built(design, backbone),
                backbone=BackboneSpec(name=backbone.name),
                trained=False,
                measured={},
                card="",
            )
            write_folder(package, folder / str(number), Programs(format="onnx"))
        print("exported", number, flush=True)


def predict(backbone: Backbone, chain: Chain, drawn: list[Design], spec: LatencySpec, cache: FileCache) -> list[Times]:
    """Compose every design's latencies from a profile of the backbone and of the branches alone."""
    runtime = runtime_for(spec, CPU, backbone)
    profile = profile_backbone(backbone, chain, device=CPU, latency=spec, cache=cache, runtime=runtime)
    checked = CheckedRuntime(runtime, profile, print)
    shapes = {point.name: point.shape for point in profile.cut_points}

    def cost(placed: Placed) -> BranchCost:
        shape = shapes[placed.cut_point]
        return measure_branch(placed.branch, shape, CLASSES, device=CPU, latency=spec, cache=cache, runtime=checked)

    found = [exit_costs(design, profile, [cost(placed) for placed in design.branches]) for design in drawn]
    return [found_costs for each in found if (found_costs := each.costs.get("latency")) is not None]


def measure(folder: Path, backbone: Backbone, design: Design, spec: LatencySpec) -> list[float]:
    """The time of every exit of a design end to end: of the network itself, or of its programs in `folder`."""
    if spec.runtime == "torch":
        found = end_to_end(built(design, backbone), backbone.example(1), device=CPU, spec=spec)
    else:
        found = measure_exits(load(folder, threads=1), spec, device=CPU, runtime="")
    return [each.median_ms for each in found]


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that never rest, as long as the block."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5 if beside else 0.0)
        yield
    finally:
        for each in beside:
            each.kill()
            each.wait()


def compare(place: Path, backbone: Backbone, drawn: list[Design], runtime: str, loops: int) -> None:
    """Compose every design's times, on a quiet machine measure them end to end too, and keep both."""
    spec = LatencySpec(runtime=runtime)
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    parts = FileCache(place / f"{runtime}-busy{loops}-parts.json")
    with busy(loops):
        composed = predict(backbone, chain, drawn, spec, parts)
    kept = {"structure": [design.label() for design in drawn], "predicted": [times.tolist() for times in composed]}
    write(place / f"{runtime}-busy{loops}.json", kept)
    print("composed", flush=True)
    if loops:
        return
    file = place / f"{runtime}-measured.json"
    measured = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    for number in range(len(measured), len(drawn)):
        measured.append(measure(place / str(number), backbone, drawn[number], spec))
        write(file, measured)
        print("measured", number, flush=True)


def write(file: Path, value: Any) -> None:
    """Write JSON."""
    file.write_text(json.dumps(value), encoding="utf-8")


def table(folder: Path, out: Path) -> None:
    """The errors of all that was measured, as a CSV and in a line for each combination."""
    rows: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*/*-busy*[0-9].json")):
        runtime, loops = file.stem.split("-busy")
        kept = json.loads(file.read_text(encoding="utf-8"))
        measured = json.loads((file.parent / f"{runtime}-measured.json").read_text(encoding="utf-8"))
        own = []
        for number, (composed, times) in enumerate(zip(kept["predicted"], measured, strict=False)):
            errors = np.array(composed) / np.array(times) - 1
            own.append(
                {
                    "backbone": file.parent.name,
                    "runtime": runtime,
                    "busy": int(loops),
                    "design": number,
                    "exits": len(times),
                    "predicted_ms": round(float(np.mean(composed)), 4),
                    "measured_ms": round(float(np.mean(times)), 4),
                    "error": round(float(np.mean(composed) / np.mean(times) - 1), 4),
                    "worst_exit_error": round(float(errors[np.abs(errors).argmax()]), 4),
                    "structure": kept["structure"][number],
                }
            )
        each = [abs(row["error"]) for row in own]
        exits = [abs(row["worst_exit_error"]) for row in own]
        quiet, there = (FileCache(file.parent / f"{runtime}-busy{n}-parts.json").medians() for n in (0, loops))
        ratios = {name: there[name] / quiet[name] for name in quiet.keys() & there.keys()}
        worst = max(ratios, key=lambda name: ratios[name])
        print(
            f"{file.parent.name} in {runtime}, {loops} busy: median error {statistics.median(each):.1%}, largest "
            f"{max(each):.1%}, of a single exit {max(exits):.1%}, {len(each)} designs; slowest of {len(ratios)} parts "
            f"at {ratios[worst]:.2f} of its quiet time ({worst[:60]})"
        )
        rows += own
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Do one step for one backbone and runtime, or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("backbone", help="a backbone, or the word table")
    parser.add_argument("runtime", help="torch or onnxruntime; after table, the CSV")
    parser.add_argument("step", nargs="?", choices=("export", "measure"))
    parser.add_argument("--busy", type=int, default=0)
    given = parser.parse_args()
    if given.backbone == "table":
        table(given.folder, Path(given.runtime))
        return
    torch.manual_seed(0)
    torch.set_num_threads(1)
    backbone = load_backbone(BackboneSpec(name=given.backbone), num_classes=CLASSES, input_size=SIZE)
    place = given.folder / given.backbone
    place.mkdir(parents=True, exist_ok=True)
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    drawn = designs(profile_backbone(backbone, chain, device=CPU, latency=None))
    if given.step == "export":
        export(place, backbone, drawn)
        return
    if given.runtime == "onnxruntime":
        there = [(place / str(number) / "eenas.json").exists() for number in range(len(drawn))]
        drawn = drawn[: there.index(False) if False in there else len(drawn)]
        print(f"{len(drawn)} designs have programs", flush=True)
    if not drawn:
        raise SystemExit(f"no design has programs in {place} yet; do the step export first")
    compare(place, backbone, drawn, given.runtime, given.busy)


if __name__ == "__main__":
    main()
