"""What makes a study the same study: everything that changes its scores, and nothing that only prolongs it."""

from typing import Any

from eenas.search.config import StudySpec
from eenas.specs import digest, to_table
from eenas.tasks.task import Task


def study_identity(settings: StudySpec, task: Task, backbone_digest: str, device: str) -> dict[str, Any]:
    """The identity as a table: task and splits, backbone and weights, space, training, objectives, device and seed.

    The number of trials and the time limit are not in it, so that a study can be prolonged.
    """
    search = to_table(settings.search)
    return {
        "task": task.digest,
        "backbone": backbone_digest,
        "backbone_name": settings.backbone.name,
        "weights": settings.backbone.weights,
        "space": settings.space.digest,
        "space_version": settings.space.version,
        "training": to_table(settings.training),
        "prepare": to_table(settings.prepare),
        "bank": {**to_table(settings.bank), "feature_cache": bool(settings.bank.feature_cache)},
        "objectives": search["objectives"],
        "sampler": search["sampler"],
        "constraints": to_table(settings.constraints),
        "latency": to_table(settings.latency),
        "device": device,
        "seed": settings.seed,
    }


def default_name(identity: dict[str, Any], task: str) -> str:
    """Backbone, task and a short digest, such as `resnet50-digits-3f9a1c`."""
    backbone = str(identity["backbone_name"]).replace("/", "_").replace(":", "_").lstrip("._")
    return f"{backbone}-{task}-{digest(identity)[:6]}"


def differences(identity: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys in which two identities differ."""
    return [key for key in identity if identity[key] != other.get(key)]
