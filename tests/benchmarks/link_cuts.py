"""Cuts the link between an edge client and `eenas serve` at random moments under load, and checks every answer.

    python tests/benchmarks/link_cuts.py --out link_cuts.csv --cuts 20

The smallest model is exported and split at its first exit; its cloud half is served in a process of its own, behind a
proxy that resets connections, lets nothing through, refuses connections, ends answers in the middle, or sends noise.
Four threads send batches of 1 to 8 samples all the time. Each row is one cut: how, for how long, and the seconds after
its end until the server answered again. The summary beside it (JSON) counts batches, answers by their kind, the longest
`predict`, and the faults: batches without an answer, late ones, wrong answers, and requests that the client counted
other than once. Ends with status 1 if there is a fault or a recovery took longer than two seconds.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cifar import Rows
from numpy.typing import NDArray

from eenas.deployment.program_folder import write_model
from eenas.deployment.splitting import split_model
from eenas.programs.parity import validation_samples
from eenas.programs.prediction import Prediction
from eenas.programs.programs import Programs
from eenas.programs.runtime import ExportedModel, load
from eenas.testing.smallest import SIZE, smallest_task
from tests.exported import smallest_package
from tests.programs.remote.cut_proxy import CUTS, CutProxy

DEADLINE_MS, MOST_RECOVERY, THREADS = 500.0, 2.0, 4
LEEWAY = 0.25
"""Seconds beyond the deadline that a busy machine may need to return."""


@dataclass
class Load:
    """Threads that send batches until told to stop, and the answers that they got."""

    model: ExportedModel
    batch: NDArray[np.uint8]
    sent: int = 0
    answers: list[tuple[NDArray[np.int64], Prediction, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, seed: int) -> None:
        """Send batches, one after the other."""
        random = np.random.default_rng(seed)
        while not self.stop.is_set():
            rows = random.choice(len(self.batch), size=int(random.integers(1, 9)), replace=False)
            with self.lock:
                self.sent += 1
            began = time.perf_counter()
            found = self.model.predict(self.batch[rows])
            self.answers.append((rows, found, time.perf_counter() - began))
            time.sleep(0.001)


def main() -> None:
    """Run the cuts and check the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the CSV; the summary is beside it as .json")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as work:
        summary = cut_links(Path(work), Rows(given.out, ("cut",)), given.cuts, given.seed)
    given.out.with_suffix(".json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    if any(summary["faults"].values()):
        sys.exit(1)


def cut_links(work: Path, rows: Rows, cuts: int, seed: int) -> dict[str, Any]:
    """Export, split and serve the model, cut its link so many times, and return the summary."""
    package, task = smallest_package(), smallest_task()
    folder = write_model(package, work / "model", Programs(format="onnx"), validation_samples(package.network, task))
    split_model(folder, work / "edge", work / "cloud", at="0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "eenas", "serve", str(work / "cloud"), "--port", str(port), "--no-grpc"]
    server = subprocess.Popen([*command, "--threads", "1"], stderr=subprocess.DEVNULL)
    proxy = CutProxy(port)
    model = load(work / "edge", threads=1, remote=proxy.url, deadline_ms=DEADLINE_MS)
    assert model.remote is not None
    images = task.test.images(SIZE, 3)[np.arange(len(task.test))].numpy()
    traffic = Load(model, images)
    threads = [threading.Thread(target=traffic.run, args=(number,)) for number in range(THREADS)]
    recoveries: list[float] = []
    try:
        model.remote.connect(120)
        for thread in threads:
            thread.start()
        random = np.random.default_rng(seed)
        for number in range(cuts):
            how, seconds = CUTS[number % len(CUTS)], float(random.uniform(0.1, 2.0))
            time.sleep(float(random.uniform(0.2, 1.0)))
            proxy.cut(how)
            time.sleep(seconds)
            proxy.restore()
            recoveries.append(recovered(model))
            rows.add({"cut": number, "how": how, "seconds": f"{seconds:.2f}", "recovery_s": f"{recoveries[-1]:.3f}"})
    finally:
        traffic.stop.set()
        for thread in threads:
            thread.join()
        model.remote.close()
        proxy.close()
        server.terminate()
        server.wait()
    return summary_of(traffic, load(folder, threads=1), recoveries)


def recovered(model: ExportedModel) -> float:
    """Return the seconds until the server answers again, at most 30."""
    assert model.remote is not None
    began, before = time.perf_counter(), model.remote.statistics.remote
    while model.remote.statistics.remote == before and time.perf_counter() - began < 30:
        time.sleep(0.002)
    return time.perf_counter() - began


def summary_of(traffic: Load, whole: ExportedModel, recoveries: list[float]) -> dict[str, Any]:
    """Return the counts, the times and the faults."""
    expected = whole.predict(traffic.batch)
    first = whole.logits(traffic.batch)[0].argmax(axis=1)
    answered, wrong = Counter[str](), 0
    for rows, found, _ in traffic.answers:
        local = np.array([each.startswith("edge") for each in found.answered])
        right = np.where(local, first[rows], expected.classes[rows])
        wrong += int(np.count_nonzero(found.classes != right))
        answered.update(each.partition(" (")[0] for each in found.answered)
    samples = sum(len(rows) for rows, _, _ in traffic.answers)
    longest = max(seconds for _, _, seconds in traffic.answers)
    assert traffic.model.remote is not None
    counts = traffic.model.remote.statistics
    return {
        "cuts": len(recoveries),
        "batches": traffic.sent,
        "samples": samples,
        "answered": dict(sorted(answered.items())),
        "longest_predict_s": round(longest, 3),
        "longest_recovery_s": round(max(recoveries), 3),
        "median_recovery_s": round(float(np.median(recoveries)), 3),
        "requests": counts.link.requests,
        "retries": counts.link.retries,
        "faults": {
            "batches without an answer": traffic.sent - len(traffic.answers),
            "batches later than the deadline": sum(
                seconds > DEADLINE_MS / 1e3 + LEEWAY for _, _, seconds in traffic.answers
            ),
            "wrong answers": wrong,
            "samples not counted once": abs(counts.samples - samples) + abs(counts.remote - answered["cloud"]),
            "recoveries above two seconds": sum(seconds > MOST_RECOVERY for seconds in recoveries),
        },
    }


if __name__ == "__main__":
    main()
