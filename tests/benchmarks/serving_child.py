"""What the benchmarks of the server share: a ResNet-20 with exits, a server in a process of its own, and its client."""

import argparse
import asyncio
import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.deployment.serving.block import Block, joined
from eenas.deployment.serving.engine import Engine
from eenas.deployment.serving.job import Job
from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.opening import Opening, open_models
from eenas.deployment.serving.server import Address, Server
from eenas.deployment.serving.service import Service
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import branch_scores
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.programs import Programs
from eenas.programs.remote.open_inference import (
    HEADER_LENGTH,
    InferenceRequest,
    InferenceResponse,
    decode_inference_response,
    encode_inference_request,
    parse_header_length,
)
from eenas.progress import Event, Notice

Array = NDArray[np.float32]
CUTS = ("layer1.2", "layer2.2")


def samples_of(shape: tuple[int, ...], count: int = 512) -> Array:
    """Samples of different contrast, so that confidences differ."""
    random = np.random.default_rng(0)
    scale = random.uniform(0.1, 2.0, size=(count, *(1,) * len(shape)))
    return (random.normal(size=(count, *shape)) * scale).astype(np.float32)


def make_model(out: Path, name: str, cuts: Sequence[str], weights: Path | None) -> None:
    """Export a CIFAR ResNet with two branches; a third of the samples leaves at each of the three exits."""
    torch.manual_seed(0)
    backbone = load_backbone(
        BackboneSpec(name=name, weights="none" if weights is None else str(weights)), num_classes=10
    )
    branches = tuple(Placed(cut_point=cut, branch=PoolFc(pool="avg", size=2)) for cut in cuts)
    design = Design(backbone=name, num_classes=10, inputs=backbone.transform.inputs, branches=branches)
    network = build_network(design, backbone, classes=tuple(map(str, range(10)))).eval()
    with torch.inference_mode():
        found = network(torch.from_numpy(samples_of(tuple(network.transform.shape))))
    logits = np.stack([each.numpy() for each in found], axis=1)
    scores = branch_scores(logits, (1.0,) * 3)
    first = float(np.quantile(scores[:, 0], 2 / 3))
    thresholds = (first, float(np.median(scores[scores[:, 0] < first, 1])))
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=thresholds)
    package = Package(network=network, backbone=BackboneSpec(name=name), trained=False, measured={}, card="# ResNet\n")
    write_folder(package, out, Programs(format="onnx"))


class _Group:
    """Jobs that started in one batch; all are told when the last has ended."""

    def __init__(self, jobs: list[Job]) -> None:
        self._open, self._tell = len(jobs), [(job, job.finished) for job in jobs]

    def note(self, job: Job) -> None:
        self._open -= 1
        if not self._open:
            for each, finished in self._tell:
                finished(each)


class WholeBatches(Engine):
    """An engine whose workers run a batch to its end before the next one, and answer all its requests together.

    Samples are taken out as they leave, as in `Engine`.
    """

    def _turn(self, k: int, blocks: Sequence[Block]) -> None:
        block: Block | None = joined(blocks)
        assert block is not None
        group = _Group([job for job, _ in block.owners])
        for job, _ in block.owners:
            job.finished = group.note
        while block is not None:
            block, k = self._ran(k, block), k + 1


def run_child(given: argparse.Namespace) -> None:
    """Serve in this process until SIGTERM; print the port."""
    limits = ServingLimits(batch=given.batch, body_mb=given.body_mb, receive_s=given.receive_s, stop_s=5)
    metrics = ServingMetrics()
    models = open_models({"m": given.model}, Opening(threads=given.threads, workers=given.workers), limits, metrics)
    if given.mode != "early":
        kind, served = WholeBatches if given.mode == "whole" else Engine, models["m"]
        workers = served.engine.workers
        served.engine.stop(5)
        served.engine = kind(
            served.model.segments,
            served.metrics,
            batch=limits.batch,
            queue=limits.queue,
            workers=workers,
            order="deepest",
        )

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            print(event.text, file=sys.stderr)

    server = Server(Service(models, limits, metrics), Address(port=0), tell)
    print(server.port, flush=True)

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await server.run(stop)

    asyncio.run(run())


@contextmanager
def child(model: Path, mode: str, *, threads: int | None = None, **limits: float) -> Iterator[tuple[int, int]]:
    """A server in a process of its own; its port and the number of the process."""
    command = [sys.executable, __file__, str(model), "--mode", mode]
    command += [] if threads is None else ["--threads", str(threads)]
    command += [word for name, value in limits.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        client = Client(port)
        for _ in range(200):
            try:
                client.ask("GET", "/v2/health/ready")
                break
            except OSError:
                threading.Event().wait(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        assert process.wait(30) == 0, "the server did not end with 0"
        process.stdout.close()


class Client:
    """One kept connection."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        status, found, _ = self.answer(method, path, body, headers)
        return status, found

    def answer(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, str | None]:
        """The status, the body and the length of the JSON text of an answer."""
        try:
            self._connection.request(method, path, body, headers or {})
            answer = self._connection.getresponse()
            return answer.status, answer.read(), answer.headers.get(HEADER_LENGTH)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def infer(self, batch: Array) -> InferenceResponse:
        """The answers to a batch."""
        body = encode_inference_request(InferenceRequest(inputs={"image": batch}, all_binary=True))
        status, found, length = self.answer("POST", "/v2/models/m/infer", body.data, body.headers)
        assert status == 200, found
        return decode_inference_response(found, parse_header_length(length))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in so many threads, with their numbers, and wait for all; the first error is raised."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--mode", choices=("early", "deepest", "whole"), default="early")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--body-mb", type=float, default=64.0)
    parser.add_argument("--receive-s", type=float, default=10.0)
    run_child(parser.parse_args())
