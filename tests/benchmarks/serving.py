"""Throughput and latency of the server over HTTP on this machine, and a soak under bad requests: run it alone.

    python tests/benchmarks/serving.py make resnet/ --weights cifar10_resnet20.safetensors   # without: random weights
    python tests/benchmarks/serving.py throughput resnet/ --out serving.csv
    python tests/benchmarks/serving.py early resnet/ --out serving.csv
    python tests/benchmarks/serving.py soak resnet/ --out serving.csv --minutes 10
    python tests/benchmarks/serving.py summary --out serving.csv

`throughput` sends batches of 32 over several connections and calls the runtime in this process, in turns: with all
cores in each operator, as the runtime does by itself, and in one thread for each core, which is the most that this
machine can do. The bound is 0.9 of the runtime. `early` sends single samples over `--connections` to three servers in
turns: "early" as it is, "deepest" ends what was started first, "whole" takes samples out of batches as they leave, too,
but answers all requests of a batch at its end. With `--rate`, requests arrive at random times, so many a second. Half
of the median latency of "whole" is the bound for samples that leave at the first exit. `soak` sends correct, malformed,
oversized, slow and aborted requests at the same time; it ends with 1 if an answer was wrong or a refusal was not in the
form of the protocol. Each piece appends rows and can be run again for more rounds.
"""

import argparse
import csv
import json
import os
import random
import socket
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from serving_child import CUTS, Array, Client, child, in_threads, make_model, samples_of
from serving_load import SingleSamples

from eenas.errors import EenasError
from eenas.programs.remote.open_inference import InferenceRequest, encode_inference_request
from eenas.programs.runtime import ExportedModel, load

BATCH = 32
COLUMNS = ("piece", "name", "value")


def note(out: Path, piece: str, name: str, value: float) -> None:
    """Append a row, and print it."""
    new = not out.is_file()
    with out.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow((piece, name, f"{value:.6g}"))
    print(f"{piece:12} {name:32} {value:.6g}", flush=True)


def throughput(given: argparse.Namespace) -> None:
    """Samples per second over HTTP and in this process, in turns."""
    model = load(given.model, threads=given.threads)
    x = samples_of(model.manifest.preprocessing.shape)
    alone = load(given.model, threads=1)
    with child(given.model, "early", threads=given.threads, **_workers(given)) as (port, _):
        for number in range(given.rounds + 1):
            inside = _in_process(model, x, given.seconds)
            over = _over_http(port, x, given.seconds, given.connections or 3)
            most = _in_threads(alone, x, given.seconds)
            if number:  # the first is to warm up
                note(given.out, "throughput", "runtime samples/s", inside)
                note(given.out, "throughput", "http samples/s", over)
                note(given.out, "throughput", "runtime in threads samples/s", most)
                note(given.out, "throughput", "ratio", over / inside)
                note(given.out, "throughput", "ratio to runtime in threads", over / most)


def _workers(given: argparse.Namespace) -> dict[str, float]:
    return {} if given.workers is None else {"workers": given.workers}


def _in_threads(model: ExportedModel, x: Array, seconds: float) -> float:
    found: list[float] = []
    in_threads(os.cpu_count() or 1, lambda number: found.append(_in_process(model, x, seconds)))
    return sum(found)


def _in_process(model: ExportedModel, x: Array, seconds: float) -> float:
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        start = count % len(x)
        count += len(model.predict(x[start : start + BATCH]).classes)
    return count / (time.perf_counter() - began)


def _over_http(port: int, x: Array, seconds: float, connections: int) -> float:
    counts, began = [0] * connections, time.perf_counter()

    def work(number: int) -> None:
        client, start = Client(port), BATCH * number
        while time.perf_counter() - began < seconds:
            start = (start + BATCH) % len(x)
            client.infer(x[start : start + BATCH])
            counts[number] += BATCH
        client.close()

    in_threads(connections, work)
    return sum(counts) / (time.perf_counter() - began)


def early(given: argparse.Namespace) -> None:
    """The median latency of single samples by exit, under load, in three modes."""
    x = samples_of(load(given.model, threads=1).manifest.preprocessing.shape)
    connections = given.connections or 16
    piece = f"early {connections}" + ("" if given.rate is None else f" at {given.rate:g}/s")
    for _ in range(given.rounds):
        medians = {}
        for mode in ("early", "deepest", "whole"):
            with child(given.model, mode, threads=given.threads, batch=given.batch, **_workers(given)) as (port, _):
                client = SingleSamples(port, x, connections, given.rate)
                client.run(1.0)
                began = time.perf_counter()
                found = client.run(given.seconds)
                rate = len(found) / (time.perf_counter() - began)
                client.close()
            note(given.out, piece, f"{mode} samples/s", rate)
            for k in sorted({exit_ for exit_, _ in found}):
                medians[mode, k] = statistics.median(latency for exit_, latency in found if exit_ == k)
                note(given.out, piece, f"{mode} exit {k} median ms", medians[mode, k] * 1000)
        note(given.out, piece, "first exit, times sooner", medians["whole", 0] / medians["early", 0])


class Soak:
    """Correct and bad requests of several threads until `end`, and counts of what came back."""

    def __init__(self, model: ExportedModel, port: int, end: float) -> None:
        self.x = samples_of(model.manifest.preprocessing.shape)
        self.expected = model.predict(self.x)
        self.port, self.end = port, end
        self.counts: Counter[str] = Counter()

    def work(self, number: int) -> None:
        """What thread `number` does: four in five send correct requests."""
        generator = random.Random(number)
        kinds = (self.correct, self.malformed, self.correct, self.aborted, self.oversized, self.correct, self.slow)
        while time.monotonic() < self.end:
            kinds[number % len(kinds)](generator)

    def correct(self, generator: random.Random) -> None:
        """A batch whose answers are known."""
        rows = np.array([generator.randrange(len(self.x)) for _ in range(generator.randint(1, 40))])
        client = Client(self.port)
        for _ in range(20):
            if time.monotonic() > self.end:
                break
            answer = client.infer(self.x[rows]).outputs
            same = np.array_equal(answer["classes"], self.expected.classes[rows])
            same = same and np.array_equal(answer["exits"], self.expected.exits[rows])
            same = same and np.allclose(answer["logits"], self.expected.logits[rows], atol=1e-3)
            self.counts["right" if same else "WRONG"] += 1
        client.close()

    def malformed(self, generator: random.Random) -> None:
        """A valid body with bytes exchanged; it may stay valid."""
        body = encode_inference_request(InferenceRequest(inputs={"image": self.x[:2]}))
        data = bytearray(body.data)
        for _ in range(generator.randint(1, 5)):
            data[generator.randrange(min(len(data), 400))] = generator.randrange(256)
        self._refused(bytes(data), body.headers)

    def oversized(self, generator: random.Random) -> None:
        """A body beyond the limit."""
        self._refused(b"0" * 2_000_000, {})

    def aborted(self, generator: random.Random) -> None:
        """A request whose client closes the connection."""
        body = encode_inference_request(InferenceRequest(inputs={"image": self.x[:32]}))
        lines = "".join(f"{name}: {value}\r\n" for name, value in body.headers.items())
        head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body.data)}\r\n{lines}\r\n"
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(head.encode() + body.data[: generator.choice((100, len(body.data)))])
            time.sleep(generator.choice((0.0, 0.2)))
        self.counts["aborted"] += 1

    def slow(self, generator: random.Random) -> None:
        """A body that never ends."""
        head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(head)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self._check(int(answer[9:12]), answer.partition(b"\r\n\r\n")[2])

    def _refused(self, data: bytes, headers: dict[str, str]) -> None:
        client = Client(self.port)
        try:
            self._check(*client.ask("POST", "/v2/models/m/infer", data, headers))
        except OSError:  # the server answered and closed before all was sent
            self.counts["closed"] += 1
        client.close()

    def _check(self, status: int, body: bytes) -> None:
        if status == 200:
            self.counts["still valid"] += 1
            return
        table = json.loads(body)
        good = list(table) == ["error"] and "\n" not in table["error"] and status != 500
        self.counts[f"refused {status}" if good else f"BAD REFUSAL {status}"] += 1


def soak(given: argparse.Namespace) -> None:
    """All kinds of requests at the same time, and the memory of the server."""
    model, memory = load(given.model, threads=1), []
    with child(given.model, "early", threads=given.threads, body_mb=1.0, receive_s=2.0) as (port, process):
        began = time.monotonic()
        run = Soak(model, port, began + 60 * given.minutes)

        def watch(number: int) -> None:
            if number < 14:
                run.work(number)
                return
            while time.monotonic() < run.end:
                memory.append((time.monotonic() - began, _resident_mb(process)))
                time.sleep(min(5.0, 3 * given.minutes))

        in_threads(15, watch)
    for name, count in sorted(run.counts.items()):
        note(given.out, "soak", name, count)
    steady = [mb for seconds, mb in memory if seconds >= 12 * given.minutes] or [memory[-1][1]]
    half = max(len(steady) // 2, 1)
    note(given.out, "soak", "minutes", given.minutes)
    note(given.out, "soak", "MB after a fifth", statistics.median(steady[:half]))
    note(given.out, "soak", "MB at the end", statistics.median(steady[-half:]))
    if any(name.startswith(("WRONG", "BAD")) for name in run.counts):
        sys.exit(1)


def _resident_mb(process: int) -> float:
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def summary(given: argparse.Namespace) -> None:
    """The medians of all rows."""
    values: dict[tuple[str, str], list[float]] = {}
    with given.out.open(newline="") as stream:
        for row in csv.DictReader(stream):
            values.setdefault((row["piece"], row["name"]), []).append(float(row["value"]))
    for (piece, name), each in values.items():
        print(f"{piece:12} {name:32} {statistics.median(each):.6g}  ({len(each)} rounds)")


def main() -> None:
    """Run one piece."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("piece", choices=("make", "throughput", "early", "soak", "summary"))
    parser.add_argument("model", type=Path, nargs="?", help="the folder of the export")
    parser.add_argument("--backbone", default="cifar_resnet20", help="the network (make)")
    parser.add_argument("--cuts", nargs=2, default=CUTS, metavar="CUT", help="cut points of its branches (make)")
    parser.add_argument("--weights", type=Path, help="its weights (make)")
    parser.add_argument("--out", type=Path, default=Path("serving.csv"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the soak")
    parser.add_argument("--connections", type=int, help="3 (throughput) or 16 (early)")
    parser.add_argument("--rate", type=float, help="requests per second (early)")
    parser.add_argument("--batch", type=int, default=64, help="most samples in one run of a segment (early)")
    parser.add_argument("--workers", type=int, help="of the server")
    parser.add_argument("--threads", type=int, help="within an operator, in the server and in this process")
    given = parser.parse_args()
    if given.piece == "make":
        make_model(given.model, given.backbone, given.cuts, given.weights)
        return
    {"throughput": throughput, "early": early, "soak": soak, "summary": summary}[given.piece](given)


if __name__ == "__main__":
    try:
        main()
    except EenasError as error:
        sys.exit(f"error: {error}")
