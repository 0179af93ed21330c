"""Reloading of thresholds: the policy of a manifest that changed on disk is taken between two requests."""

import asyncio
from collections.abc import Iterable

from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.served_model import ServedModel, manifest_stamp
from eenas.errors import EenasError
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
    known = {model.name: model for model in models}
    stamps = {name: model.stamp for name, model in known.items()}
    while True:
        await asyncio.sleep(seconds)
        for name, model in known.items():
            stamp = manifest_stamp(model.model.manifest.folder)
            if stamp is None or stamp == stamps[name]:
                continue
            stamps[name] = stamp
            try:
                await reload_model(model, listener)
            except Refusal:
                continue  # the listener was told, and the file can change again
