"""Predicted and measured latency of a network that is split between two processes over an emulated link. Needs root.

    python tests/benchmarks/edge_cloud.py --out docs/edge_cloud.csv --work WORK [--weights FILE] [--data npz:FILE]
    python tests/benchmarks/edge_cloud.py --out docs/edge_cloud.csv --work WORK --summary

A CIFAR ResNet-20 with three branches is exported to WORK (with random weights and images unless they are given; its
thresholds let 30 % of the samples leave at each branch that they reach). `eenas serve` answers in one network
namespace, the edge client of `eenas.runtime` asks in another, one request after the other over a kept connection, and
`link_emulator.py` joins them: 1, 6, 20 and 100 Mbit/s, round trips of 5, 50 and 200 ms, losses of 0 and 1 % in each
direction. Both run on this machine with one thread. With --factor N the edge runs each of its programs N times, which
stands for a device that is N times as slow.

Every split at an exit is measured and predicted: the programs' times as `eenas` measures them here, the time of a
request beside them as measured without a link, and `Link.send_ms` of a kept, busy connection. A row is one setting and
one split; rows that the CSV has are not measured again, --pieces N measures at most N, and --only-best the predicted
split alone. Both ends and the emulator share the cores of this machine, of which a request keeps one busy at a time.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import Rows
from link_emulator import ADDRESSES, CLOUD, EDGE, EmulatedLink, Namespaces
from numpy.typing import NDArray

import eenas
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_link import FleetLink
from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.deployment.fleet.simulator import simulate_fleet
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.designs.design import Design, Placed
from eenas.errors import LinkError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.part_times import PartTimes, segments_of
from eenas.measurement.tiers.tier_costs import TierCosts, TieredNetwork, tier_costs
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.networks.assembly import build_network
from eenas.networks.tables import batches
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import branch_scores
from eenas.programs.exit_latency import measure_exits
from eenas.programs.remote.edge_client import EdgeClient
from eenas.programs.runtime import ExportedModel
from eenas.tasks.load import load_task
from eenas.tier_names import TIER_LATENCY

CUTS = ("layer1.0", "layer2.0", "layer3.0")
SPLITS = ("", *CUTS, "final")
ELEMENTS = (16 * 32 * 32, 32 * 16 * 16, 64 * 8 * 8)
LEAVING = 0.3
REQUESTS, LOSSY_REQUESTS, WARM_UP = 20, 60, 5
KEYS = ("factor", "mbit", "round_trip_ms", "loss", "split")
SETTINGS = tuple(product((1.0, 6.0, 20.0, 100.0), (5.0, 50.0, 200.0), (0.0, 0.01)))
FIRST_PORT = 8400


def main() -> None:
    """Measure what the CSV lacks, and print the summary."""
    given = arguments()
    if given.part:
        edge(given)
        return
    rows = Rows(given.out, KEYS)
    if not given.summary:
        folder = prepared(given)
        model = eenas.runtime.load(folder, threads=1)
        spec = LatencySpec(threads=1)
        reached = [each.median_ms for each in measure_exits(model, spec, device=torch.device("cpu"), runtime="onnx")]
        wanted = ((given.factor, *setting, split) for setting in SETTINGS for split in SPLITS)
        measure(given, rows, folder, (model, np.array(reached)), rows.missing(wanted))
    print(summary(rows.rows))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the CSV; rows that it has are not measured again")
    parser.add_argument("--work", type=Path, required=True, help="the folder of the exported network")
    parser.add_argument("--weights", default="none", help="a trained ResNet-20")
    parser.add_argument("--data", help="CIFAR-10 as npz:FILE (default: random images)")
    parser.add_argument("--factor", type=int, default=1, help="how many times the edge runs each program")
    parser.add_argument("--pieces", type=int, help="measure at most so many rows")
    parser.add_argument("--only-best", action="store_true", help="measure the predicted split of each setting only")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    parser.add_argument("--part", choices=("edge",), help=argparse.SUPPRESS)
    return parser.parse_args()


def prepared(given: argparse.Namespace) -> Path:
    """The exported network, which is made once."""
    folder: Path = given.work / "model"
    if folder.is_dir():
        return folder
    given.work.mkdir(parents=True, exist_ok=True)
    data = given.data or f"npz:{random_images(given.work / 'random.npz')}"
    torch.manual_seed(0)
    backbone = load_backbone(BackboneSpec("cifar_resnet20", weights=given.weights), num_classes=10, input_size=32)
    design = Design(
        backbone="cifar_resnet20",
        num_classes=10,
        inputs=backbone.transform.inputs,
        branches=tuple(Placed(cut_point=cut, branch=PoolFc(pool="avg", size=1)) for cut in CUTS),
    )
    task = load_task(data)
    network = build_network(design, backbone, classes=task.classes).eval()
    network.policy = leaving_policy(network, task)
    eenas.export(folder, network=network, data=data, format="onnx")
    return folder


def random_images(path: Path) -> Path:
    """A file of random images and labels of ten classes."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {"classes": np.array([f"class {number}" for number in range(10)])}
    for name, count in (("train", 600), ("test", 400)):
        brightness = random.integers(20, 256, (count, 1, 1, 1))
        arrays[f"{name}_x"] = (random.random((count, 32, 32, 3)) * brightness).astype(np.uint8)
        arrays[f"{name}_y"] = np.arange(count) % 10
    np.savez(path, **arrays)
    return path


def leaving_policy(network: Any, task: Any) -> ThresholdPolicy:
    """Thresholds at which the share LEAVING of the samples that reach a branch leaves there."""
    images = torch.cat(list(batches(network, task.test, 200, torch.device("cpu"))))[:1000]
    with torch.no_grad():
        logits = np.stack([each.numpy() for each in network(images)], axis=1)
    scores, staying, thresholds = branch_scores(logits, (1.0,) * 4), np.arange(len(images)), []
    for k in range(len(CUTS)):
        thresholds.append(float(np.quantile(scores[staying, k], 1 - LEAVING)))
        staying = staying[scores[staying, k] < thresholds[-1]]
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 4, thresholds=tuple(thresholds))


def samples_of(folder: Path, model: ExportedModel, given: argparse.Namespace) -> NDArray[np.float32]:
    """The images that are asked, [n, 3, 32, 32], as the network takes them."""
    task = load_task(given.data or f"npz:{given.work / 'random.npz'}")
    test = task.test
    raw = test.images(32, 3)[np.arange(min(400, len(test)))].numpy()
    return np.asarray(model.manifest.preprocessing(raw), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The predicted mean latency in ms of the samples asked under each split, and the costs."""

    means: dict[str, float]
    costs: TierCosts


def predicted(
    settings: EmulatedLink, timed: tuple[NDArray[np.float64], float], exits: NDArray[np.int64], factor: float
) -> Predicted:
    """The costs of each split on samples that leave at `exits`.

    `timed` are the times of reaching the exits here, and that of a request beside its programs and the link.
    """
    reached, entry = timed
    times = PartTimes(segments_ms=segments_of(reached), exits_ms=np.zeros(len(reached)))
    network = TieredNetwork(
        times=(times.scaled(factor), replace(times, entry_ms=entry)),
        cut_points=CUTS,
        elements=ELEMENTS,
        after=(1, 2, 3, 4),
        num_classes=10,
        input_bytes=4 * 3 * 32 * 32,
    )
    link = Link(mbit=settings.mbit, round_trip_ms=settings.round_trip_ms, loss=settings.loss, warm=True)
    costs = tier_costs(network, Tiers(tiers=(Tier(name="edge", factor=factor), Tier(name="cloud")), links=(link,)))
    means = {split: float(costs.columns(split)[TIER_LATENCY][exits].mean()) for split in SPLITS}
    return Predicted(means=means, costs=costs)


def simulated(found: Predicted, split: str, exits: NDArray[np.int64]) -> float:
    """The mean latency that the simulation of one device predicts for these samples."""
    times = SplitTimes.of_tiers(found.costs, split)
    right = np.ones(len(exits), dtype=np.bool_)
    taken = SampleDecisions(exits=exits, right=right, right_on_device=right)
    arrivals = Arrivals(kind="regular", rate=0.05)
    fleet = Fleet(seconds=400_000, arrivals=arrivals, link=FleetLink(link=found.costs.tiers.links[0]))
    return float(simulate_fleet(times, taken, fleet).latency_ms.mean())


def measure(
    given: argparse.Namespace,
    rows: Rows,
    folder: Path,
    timed: tuple[ExportedModel, NDArray[np.float64]],
    missing: Sequence[tuple[object, ...]],
) -> None:
    """Measure rows that are missing, all splits of a setting after one another."""
    model, reached = timed
    images = samples_of(folder, model, given)
    exits = model.predict(images).exits
    namespaces, left = Namespaces(), given.pieces or len(missing)
    try:
        with servers(folder) as ports, edge_process(given) as device:
            entry = answer_ms(given, folder, ports, exits, reached)
            print(f"a request takes {entry:.2f} ms beside its programs and the link", flush=True)
            for factor, mbit, trip, loss, split in missing:
                if not left:
                    break
                link = EmulatedLink(mbit=float(str(mbit)), round_trip_ms=float(str(trip)), loss=float(str(loss)))
                count = LOSSY_REQUESTS if link.loss else REQUESTS
                asked = np.random.default_rng(1).permutation(len(images))[:count]
                found = predicted(link, (reached, entry), exits[asked], given.factor)
                best = min(found.means, key=found.means.__getitem__)
                if given.only_best and split != best:
                    continue
                with namespaces.link(link, seed=len(rows.rows)):
                    answers = ask(device, folder, str(split), ports[str(split)], asked)
                if sorted(set(answers["answered"])) not in (["cloud"], ["cloud", "edge"], ["edge"]):
                    raise SystemExit(f"error: not every request was answered: {set(answers['answered'])}")
                if list(answers["exits"]) != exits[asked].tolist():
                    raise SystemExit("error: samples left at other exits than in one process")
                took = np.array(answers["ms"])
                rows.add(
                    {
                        "factor": factor,
                        "mbit": mbit,
                        "round_trip_ms": trip,
                        "loss": loss,
                        "split": split,
                        "predicted_best": best,
                        "requests": count,
                        "sent": answers["answered"].count("cloud"),
                        "predicted_ms": round(found.means[str(split)], 3),
                        "simulated_ms": round(simulated(found, str(split), exits[asked]), 3),
                        "measured_ms": round(float(took.mean()), 3),
                        "median_ms": round(float(np.median(took)), 3),
                        "standard_error_ms": round(float(took.std(ddof=1) / np.sqrt(count)), 3),
                    }
                )
                left -= 1
    finally:
        namespaces.close()


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, int]]:
    """A server for each split, in the cloud's namespace; their ports."""
    ports = {split: FIRST_PORT + number for number, split in enumerate(SPLITS)}
    processes = []
    try:
        for split in SPLITS[:-1]:
            words = [*("ip", "netns", "exec", CLOUD, sys.executable, "-m", "eenas", "serve", str(folder))]
            words += ["--host", ADDRESSES[CLOUD], "--port", str(ports[split]), "--no-grpc", "--threads", "1"]
            words += ["--from", split] if split else []
            processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield ports
    finally:
        for process in processes:
            process.terminate()
            process.wait()


@contextmanager
def edge_process(
    given: argparse.Namespace, name: str = EDGE, factor: int | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """The process of the edge, in a namespace."""
    own = ["ip", "netns", "exec", name, sys.executable, __file__, "--part", "edge", "--work", str(given.work)]
    own += ["--factor", str(factor or given.factor), *(("--data", given.data) if given.data else ())]
    process = subprocess.Popen(own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def answer_ms(
    given: argparse.Namespace,
    folder: Path,
    ports: dict[str, int],
    exits: NDArray[np.int64],
    reached: NDArray[np.float64],
) -> float:
    """The time of a request beside the programs, without a link: the edge asks in the server's own namespace."""
    last = np.nonzero(exits == len(CUTS))[0][:50]
    with edge_process(given, CLOUD, factor=1) as device:
        took = ask(device, folder, CUTS[-1], ports[CUTS[-1]], last)["ms"]
    return max(0.0, float(np.median(took)) - float(reached[-1]))


def ask(
    process: "subprocess.Popen[str]", folder: Path, split: str, port: int, asked: NDArray[np.int64]
) -> dict[str, Any]:
    """The times in ms, exits and origins of the answers that the edge gets over a new connection."""
    assert process.stdin is not None
    assert process.stdout is not None
    words = {"folder": str(folder), "split": split, "port": port, "asked": asked.tolist()}
    process.stdin.write(json.dumps(words) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit("error: the edge process failed")
    answers: dict[str, Any] = json.loads(line)
    return answers


class Repeated:
    """A segment that runs several times and answers once."""

    def __init__(self, segment: Any, times: int) -> None:
        self.segment, self.times = segment, times

    def __call__(self, *arguments: Any) -> Any:
        for _ in range(self.times - 1):
            self.segment(*arguments)
        return self.segment(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.segment, name)


def connect(remote: EdgeClient) -> None:
    """Wait for the server, which may still start; a lost packet may fail an attempt to connect."""
    for attempt in range(120):
        try:
            remote.connect(30.0)
            return
        except LinkError:
            if attempt == 119:
                raise
            time.sleep(0.5)


def edge(given: argparse.Namespace) -> None:
    """Ask one image after the other, as each line of standard input says; print times, exits and origins as JSON."""
    images = None
    for line in sys.stdin:
        words = json.loads(line)
        model = eenas.runtime.load(
            words["folder"],
            threads=1,
            remote=f"http://{ADDRESSES[CLOUD]}:{words['port']}",
            split=words["split"],
            deadline_ms=120_000.0,
        )
        remote = model.remote
        assert remote is not None
        if given.factor > 1:
            repeated = tuple(Repeated(each, given.factor) for each in remote._segments)
            remote._segments = repeated  # type: ignore[assignment]
        if words["split"] != "final":
            connect(remote)
        if images is None:
            images = samples_of(Path(words["folder"]), model, given)
        for number in range(2 * WARM_UP):  # opens TCP's window
            model.predict(images[number : number + 1])
        took: list[float] = []
        exits: list[int] = []
        answered: list[str] = []
        for number in words["asked"]:
            image = images[number : number + 1]
            began = time.perf_counter()
            found = model.predict(image)
            took.append(1000 * (time.perf_counter() - began))
            exits.append(int(found.exits[0]))
            answered += found.answered or ("edge",)
        counts = remote.statistics.link
        remote.close()
        traffic = {"requests": counts.requests, "bytes": [counts.bytes_sent, counts.bytes_received]}
        print(json.dumps({"ms": took, "exits": exits, "answered": answered, **traffic}), flush=True)


def summary(rows: Sequence[dict[str, str]]) -> str:
    """The errors of the predictions and the worth of the chosen splits, as Markdown."""
    lines = ["| edge | rows | median error, predicted | simulated | 90 % within | chosen split over the best |"]
    lines.append("|---|---|---|---|---|---|")
    for factor in sorted({row["factor"] for row in rows}, key=float):
        own = [row for row in rows if row["factor"] == factor and row["split"] != "final"]
        errors = {
            name: [abs(float(row[name]) / float(row["measured_ms"]) - 1) for row in own]
            for name in ("predicted_ms", "simulated_ms")
        }
        worth = []
        for key in {tuple(row[name] for name in KEYS[:-1]) for row in rows if row["factor"] == factor}:
            same = {row["split"]: row for row in rows if tuple(row[name] for name in KEYS[:-1]) == key}
            chosen = next(iter(same.values()))["predicted_best"]
            if set(same) == set(SPLITS):
                worth.append(
                    float(same[chosen]["measured_ms"]) / min(float(row["measured_ms"]) for row in same.values())
                )
        medians = [100 * float(np.median(each)) for each in errors.values()]
        most = 100 * float(np.quantile(errors["predicted_ms"], 0.9)) if own else 0.0
        over = f"median {np.median(worth):.3f}, most {max(worth):.3f} of {len(worth)}" if worth else "–"
        lines.append(f"| {factor} × | {len(own)} | {medians[0]:.1f} % | {medians[1]:.1f} % | {most:.1f} % | {over} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
