"""Reloading of thresholds: the policy of a manifest that changed on disk is taken between two requests."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.served_model import ServedModel
from eenas.errors import EenasError
from eenas.programs.manifest import MANIFEST
from eenas.progress import Listener, Notice


async def reload_model(model: ServedModel, listener: Listener) -> None:
    """Take the policy of a model on disk, and say so. Raises Refusal, and keeps the policy, if it cannot be taken."""
    try:
        changed = await asyncio.to_thread(model.reload)
    except EenasError as error:
        model.metrics.reloads["failed"].inc()
        listener(Notice(f"{model.name}: keeps its policy: {error}"))
        raise Refusal("malformed", f"the policy stays as it is: {error}") from None
    if changed:
        model.metrics.reloads["changed"].inc()
        assert model.model.policy is not None
        listener(Notice(f"{model.name}: policy of the changed manifest: {model.model.policy.label()}"))


async def watch_manifests(models: Iterable[ServedModel], listener: Listener, seconds: float = 1.0) -> None:
    """Look at the manifest of every model at this interval, forever, and reload those that changed."""
    stamps = {model.name: _stamp(model) for model in models}
    known = {model.name: model for model in models}
    while True:
        await asyncio.sleep(seconds)
        for name, model in known.items():
            stamp = _stamp(model)
            if stamp is None or stamp == stamps[name]:
                continue
            stamps[name] = stamp
            try:
                await reload_model(model, listener)
            except Refusal:
                continue  # the listener was told, and the file can change again


def _stamp(model: ServedModel) -> tuple[int, int, int] | None:
    """Return facts of a manifest that change when it is written; None if it is not there."""
    try:
        found = os.stat(Path(model.model.manifest.folder) / MANIFEST)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
