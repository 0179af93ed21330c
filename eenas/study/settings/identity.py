"""What makes a study the same study: everything that changes its scores, and nothing that only prolongs it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eenas import specs
from eenas.escaping import one_line
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.costs.spec import code_of
from eenas.measurement.latency_profile import LatencyProfile
from eenas.names import LONGEST, file_part
from eenas.records.studies import StudyRecord
from eenas.specs import digest, to_table
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.study_spec import StudySpec
from eenas.tasks.task import Task

WORDS = {
    "task": "the task (its data or splits)",
    "backbone": "the backbone (its code or first weights)",
    "latency_profile": "the latency profile (what it holds)",
    "code_of_costs": "the code of a cost",
}
_LONGEST = 60
"""Characters of a value that a message shows."""


def study_identity(
    settings: StudySpec,
    task: Task,
    backbone_digest: str,
    device: str,
    latencies: LatencyProfile | None = None,
    own_costs: Sequence[OwnCost] = (),
) -> dict[str, Any]:
    """The identity as a table: task and splits, backbone and weights, space, training, objectives, device and seed.

    With a latency profile its digest, which covers what it holds and the conditions it was taken under, is in it too,
    and the study's own costs with their tables and their code.
    The number of trials and the time limit are not in it, so that a study can be prolonged, and what only decides about
    the first trials, which are queued once, is not in it either.
    """
    search, bank = to_table(settings.search), to_table(settings.bank)
    del bank["earlier"]
    code = {each.name: text for each in own_costs if (text := code_of(each.cost))}
    return {
        "task": task.digest,
        "backbone": backbone_digest,
        "backbone_name": settings.backbone.name,
        "weights": settings.backbone.weights,
        "space": settings.space.digest,
        "space_version": settings.space.version,
        "training": to_table(settings.training),
        "prepare": to_table(settings.prepare),
        "bank": {**bank, "feature_cache": bool(settings.bank.feature_cache)},
        "objectives": search["objectives"],
        "sampler": search["sampler"],
        **({"accuracy": search["accuracy"]} if search["accuracy"] != "plain" else {}),
        "constraints": to_table(settings.constraints),
        "latency": to_table(settings.latency),
        "device": device,
        "seed": settings.seed,
        **({} if latencies is None else {"latency_profile": latencies.digest}),
        **({} if not settings.costs else {"costs": to_table(settings.costs), "code_of_costs": code}),
    }


def default_name(identity: dict[str, Any], task: str) -> str:
    """Backbone, task and a short digest, such as `resnet50-digits-3f9a1c`."""
    backbone = str(identity["backbone_name"]).replace("/", "_").replace(":", "_").lstrip("._")
    name = f"{backbone}-{task}"
    return f"{name if len(name) < LONGEST // 2 and one_line(name) == name else file_part(name)}-{digest(identity)[:6]}"


def differences(identity: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys in which two identities differ."""
    return [key for key in dict.fromkeys((*identity, *other)) if identity.get(key) != other.get(key)]


def told(keys: Sequence[str], here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """What differs in these keys of two identities, field by field: "training.epochs is 2.0 and was 1.0".

    `here` and `there` are the identities as `spelled_out` gives them, with settings in the place of digests.
    """
    parts = []
    for key in keys:
        if key in WORDS:
            parts.append(WORDS[key])
            continue
        found = specs.differing(here.get(key), there.get(key), key)
        parts += [f"{name} is {_text(now)} and was {_text(before)}" for name, now, before in found]
    return ", ".join(parts)


def spelled_out(identity: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """An identity whose search space is the table that the settings hold, in the place of its digest."""
    space = settings.get("space", identity.get("space"))
    return {**identity, "space": {"settings": space, "digest": identity.get("space")}}


def differs_from(context: StudyContext, identity: Mapping[str, Any], record: StudyRecord) -> str:
    """In which fields a study of `context` and a kept one differ."""
    keys = differences(identity, record.identity)
    here, there = spelled_out(identity, to_table(context.settings)), spelled_out(record.identity, record.settings)
    text = told(keys, here, there)
    own = context.backbone.weights == "own" and not context.is_fresh
    if "backbone" in keys and own:
        text += " (weights that are not trained anew belong to the study: give the same ones, drawn with the same seed)"
    return text


def _text(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
