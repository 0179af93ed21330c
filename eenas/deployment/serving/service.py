"""The service behind both protocols: its models, and the way of a request through its limits."""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping

from eenas import __version__
from eenas.deployment.serving.job import Job
from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.served_model import VERSION, ServedModel
from eenas.errors import nearest
from eenas.escaping import shortened
from eenas.programs.remote.open_inference import InferenceRequest, InferenceResponse
from eenas.progress import Listener, silent

EXTENSIONS = ("binary_tensor_data", "model_repository")
_MOST_CLIENTS = 10_000
_SMALL = 1_000_000
"""Tensors up to this number of bytes are checked at once; for larger ones the event loop would have to wait."""


class Service:
    """Answers requests for `models` by name within the `limits`. `listener` is told what happens to the models."""

    def __init__(self, models: Mapping[str, ServedModel], limits: ServingLimits, metrics: ServingMetrics) -> None:
        self.models, self.limits, self.metrics = dict(models), limits, metrics
        self.stopping = False
        self.listener: Listener = silent
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._bytes, self._held = 0, threading.Lock()
        self._finished: deque[asyncio.Event] = deque()
        self._told = False

    @property
    def metadata(self) -> dict[str, object]:
        """The metadata of the server."""
        return {"name": "eenas", "version": __version__, "extensions": list(EXTENSIONS)}

    @property
    def index(self) -> list[dict[str, str]]:
        """The index of the models."""
        state = "UNAVAILABLE" if self.stopping else "READY"
        return [{"name": name, "version": VERSION, "state": state, "reason": ""} for name in self.models]

    def model(self, name: str, version: str = "") -> ServedModel:
        """Return a model. Raises Refusal for an unknown name or version."""
        if (found := self.models.get(name)) is None:
            raise Refusal("not_found", f"there is no model {shortened(name)}; {nearest(name, self.models)}")
        if version not in ("", VERSION):
            raise Refusal("not_found", f"{name} has only the version {VERSION}, got {shortened(version)}")
        return found

    def admit(self, client: str) -> None:
        """Count a request of a client address. Raises Refusal if it sends too many, or if the server stops."""
        if self.stopping:
            raise Refusal("stopping", "the server is stopping; send the request to another one", retry_after=1)
        if (rate := self.limits.rate) is None:
            return
        now, most = time.monotonic(), max(rate, 1.0)  # a bucket that holds the requests of a second
        left, before = self._clients.pop(client, (most, now))
        left = min(most, left + (now - before) * rate)
        self._clients[client] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) / rate))
            raise Refusal("rate", f"at most {rate:g} requests per second are answered; slow down", retry_after=wait)

    def hold(self, size: int) -> None:
        """Count bytes of a body that are in memory, in any thread. Raises Refusal if there are too many.

        `release` frees them.
        """
        with self._held:
            if self._bytes + size > self.limits.memory_bytes:
                raise Refusal(
                    "queue_full", "too many bodies are in memory at the same time; try again later", retry_after=1
                )
            self._bytes += size

    def release(self, size: int) -> None:
        """Free bytes of `hold`."""
        with self._held:
            self._bytes -= size

    async def infer(
        self, model: ServedModel, request: InferenceRequest, *, protocol: str, arrived: float
    ) -> InferenceResponse:
        """Return the answer to a request that came whole at the monotonic time `arrived`.

        If the caller is cancelled, the place of the request is free again. Raises Refusal.
        """
        size = sum(array.nbytes for array in request.inputs.values())
        job = model.job(request) if size <= _SMALL else await asyncio.to_thread(model.job, request)
        if len(job):
            await self._done(model, job)
            if job.error is not None:
                raise job.error
            model.metrics.queue_seconds.observe(max(job.started - arrived, 0.0))
        response = model.response(job, request)
        model.metrics.request_seconds.observe(time.monotonic() - arrived)
        model.metrics.requests[protocol].inc()
        return response

    async def _done(self, model: ServedModel, job: Job) -> None:
        """Wait until the engine has answered a job, or until its deadline."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def tell(job: Job) -> None:
            self._finished.append(done)
            if not self._told:  # the event loop is woken once for all requests that leave together
                self._told = True
                loop.call_soon_threadsafe(self._tell_finished)

        job.finished = tell
        model.engine.submit(job)
        try:
            async with asyncio.timeout(job.deadline - time.monotonic()):
                await done.wait()
        except TimeoutError:
            raise Refusal("late", "the request was not answered within its deadline", retry_after=1) from None
        finally:
            job.ended = True

    def _tell_finished(self) -> None:
        """Go on with all requests that the engines have answered."""
        self._told = False  # before the queue is empty: what comes later wakes the event loop again
        while self._finished:
            self._finished.popleft().set()

    def stop(self) -> None:
        """Refuse further requests from now on."""
        self.stopping = True

    def drop(self) -> int:
        """Refuse what is not answered yet, too, and return the number of these requests."""
        self.stopping = True
        return sum(model.engine.drop() for model in self.models.values())

    def close(self, seconds: float) -> bool:
        """End the engines within so many seconds. Return False if a segment still runs then."""
        self.stopping = True
        deadline = time.monotonic() + seconds
        ended = [model.engine.stop(max(deadline - time.monotonic(), 0.0)) for model in self.models.values()]
        return all(ended)
