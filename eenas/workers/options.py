"""The options of a search by several workers."""

from eenas.results.options import SearchOptions


class WorkerOptions(SearchOptions, total=False):
    """The options of a search and of its workers.

    `workers` is the number of worker processes (default: one per GPU that the study may use, else one). `ray` is the
    address of a Ray cluster, or "auto" for the one of this machine; the workers are then tasks of Ray, each with
    `gpus_per_trial` GPUs (default: 1 if the cluster has GPUs, else 0) and `cpus_per_trial` cores (default: 1).
    """

    workers: int | None
    ray: str | None
    gpus_per_trial: float | None
    cpus_per_trial: float | None


WORKERS, RAY = "workers", "ray"
OF_RAY = ("gpus_per_trial", "cpus_per_trial")
OF_WORKERS = (WORKERS, RAY, *OF_RAY)
"""The options that only the start of workers needs."""
