"""Opening the models of a server, each under its name."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eenas.deployment.serving.features_input import features_input
from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ModelMetrics, ServingMetrics
from eenas.deployment.serving.samples_input import SamplesInput, WholeModel
from eenas.deployment.serving.served_model import ServedModel, manifest_stamp
from eenas.errors import InputError
from eenas.escaping import shortened
from eenas.processes import PER_CORE
from eenas.programs.manifest import read_manifest, read_table
from eenas.programs.runtime import ExportedModel, load
from eenas.programs.segments import open_segments

MOST_WORKERS = 4
"""The most workers of a model unless more are asked for; their Python code shares one interpreter."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How models are opened: `cut` is the split behind which they are served (None: as the folder says).

    `provider`, `threads` and `trust_code` are those of `eenas.runtime.load`. So many `workers` run segments at the same
    time, with `threads` each. On the CPU, what is None of the two follows from the other and the cores: workers for all
    cores, at most MOST_WORKERS, and one for .pt2 files, whose threads belong to the process. `controller` names a
    controller that chooses the thresholds of each model and learns from its requests. Raises InputError for a number of
    workers out of range.
    """

    cut: str | None = None
    provider: str = "cpu"
    threads: int | None = None
    trust_code: bool = False
    controller: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        """Check the number of workers."""
        most = PER_CORE * (os.cpu_count() or 1)
        if self.workers is not None and not 1 <= self.workers <= most:
            raise InputError(f"workers must be from 1 to {most} on this machine, got {self.workers}")

    def parallel(self, kind: str) -> tuple[int, int | None]:
        """Return the number of workers for programs of a kind, and that of their threads (None: one for each core)."""
        if kind == "pt2" or self.provider != "cpu":
            return self.workers or 1, self.threads
        cores = os.cpu_count() or 1
        workers = self.workers or max(1, min(MOST_WORKERS, cores // (self.threads or 1)))
        return workers, self.threads or max(1, cores // workers)


def named_folders(given: Sequence[str]) -> dict[str, Path]:
    """Return the folders of models by name. Each is given as FOLDER, whose own name it then has, or as NAME=FOLDER.

    Raises InputError for a name that is taken or that cannot be part of an address.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            folder = text
            name = Path(folder).resolve().name
        if not _NAME.fullmatch(name):
            raise InputError(f"{shortened(text)}: a model needs a name of letters, digits, - and _; give NAME=FOLDER")
        if name in found:
            raise InputError(f"two models are called {name!r}; give one of them as NAME=FOLDER")
        found[name] = Path(folder)
    if not found:
        raise InputError("there is no model to serve; give the folder of an export")
    return found


def open_models(
    folders: Mapping[str, Path], opening: Opening, limits: ServingLimits, metrics: ServingMetrics
) -> dict[str, ServedModel]:
    """Open the models in `folders` by name. Raises ExportError as `load` does, also for an unknown cut."""
    served: dict[str, ServedModel] = {}
    for name, folder in folders.items():
        stamp = manifest_stamp(folder)  # before it is read: what changes from now on is seen
        model, taken, workers = _opened(folder, opening)
        if opening.controller is not None:
            model.adapt(opening.controller, trust_code=opening.trust_code)
        own = _metrics(name, model, metrics, served)
        served[name] = ServedModel(name, model, taken, limits, own, workers=workers, stamp=stamp)
    return served


def _opened(folder: Path, opening: Opening) -> tuple[ExportedModel, SamplesInput, int]:
    """Open a whole model, or one half of it; return it with what it takes and its number of workers."""
    manifest = read_manifest(folder, trust_code=opening.trust_code)
    workers, threads = opening.parallel(manifest.kind)
    taken: SamplesInput
    if manifest.split is None and not opening.cut:
        inputs = list(read_table(folder).get("inputs", {}).get("tensors", {}))  # 0.1 wrote none
        taken = WholeModel(inputs[0] if len(inputs) == 1 else "x")
    else:
        taken = features_input(manifest, opening.cut)
    provider, trust_code = opening.provider, opening.trust_code
    if manifest.split is None:
        return load(folder, provider=provider, threads=threads, trust_code=trust_code), taken, workers
    segments = open_segments(manifest, provider=provider, threads=threads, trust_code=trust_code)
    return ExportedModel(manifest, segments), taken, workers


def _metrics(
    name: str, model: ExportedModel, metrics: ServingMetrics, served: Mapping[str, ServedModel]
) -> ModelMetrics:
    return metrics.of(name, model.exits, lambda: served[name].engine.samples if name in served else 0)
