"""The metrics of a server in the format of Prometheus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eenas.errors import ExportError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ServingMetrics:
    """All metrics of a server. Each server has a registry of its own."""

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            raise ExportError("serving needs the package prometheus-client; pip install 'eenas[serve]'") from None
        self._registry = registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": registry}
        self._requests = Counter("eenas_requests", "Requests that were answered.", ["model", "protocol"], **own)
        self._refused = Counter("eenas_refusals", "Requests that were refused, by reason.", ["reason"], **own)
        self._samples = Counter("eenas_samples", "Samples that reached an exit.", ["model", "exit"], **own)
        self._answers = Counter("eenas_answers", "Samples that left at an exit.", ["model", "exit"], **own)
        self._whole = Histogram(
            "eenas_request_seconds", "From the whole request to its answer.", ["model"], buckets=_SECONDS, **own
        )
        self._queued = Histogram(
            "eenas_queue_seconds", "From the whole request to its first segment.", ["model"], buckets=_SECONDS, **own
        )
        self._segment = Histogram(
            "eenas_segment_seconds",
            "One run of a segment with its exit and decisions.",
            ["model", "exit"],
            buckets=_SECONDS,
            **own,
        )
        self._batches = Histogram(
            "eenas_batch_samples", "Samples in one run of a segment.", ["model", "exit"], buckets=_SAMPLES, **own
        )
        self._queue = Gauge("eenas_queue_samples", "Samples that wait or are in work.", ["model"], **own)
        self._reloads = Counter("eenas_reloads", "Policies taken from disk.", ["model", "result"], **own)

    def of(self, model: str, exits: tuple[str, ...], queue: Callable[[], int]) -> "ModelMetrics":
        """Return the metrics of one model. `queue` returns the number of its samples that wait or are in work."""
        self._queue.labels(model).set_function(queue)
        return ModelMetrics(
            ran_samples=[self._samples.labels(model, name) for name in exits],
            answered=[self._answers.labels(model, name) for name in exits],
            segment_seconds=[self._segment.labels(model, name) for name in exits],
            batch_samples=[self._batches.labels(model, name) for name in exits],
            request_seconds=self._whole.labels(model),
            queue_seconds=self._queued.labels(model),
            requests={protocol: self._requests.labels(model, protocol) for protocol in ("http", "grpc")},
            reloads={result: self._reloads.labels(model, result) for result in ("changed", "failed")},
        )

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


@dataclass(frozen=True, kw_only=True)
class ModelMetrics:
    """The metrics of one model, with a list for each exit."""

    ran_samples: list[Any]
    answered: list[Any]
    segment_seconds: list[Any]
    batch_samples: list[Any]
    request_seconds: Any
    queue_seconds: Any
    requests: Mapping[str, Any]
    reloads: Mapping[str, Any]

    def ran(self, k: int, samples: int, left: int, seconds: float) -> None:
        """Count a run of segment k. See `Observer`."""
        self.ran_samples[k].inc(samples)
        self.answered[k].inc(left)
        self.segment_seconds[k].observe(seconds)
        self.batch_samples[k].observe(samples)
