"""The identity of a study: everything that changes its scores, and nothing that only prolongs it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler

from eenas import specs
from eenas.designs.space import may_have_experts
from eenas.escaping import one_line
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.costs.spec import code_of
from eenas.measurement.latency_profile import LatencyProfile
from eenas.names import LONGEST, file_part
from eenas.networks.tiered_costs import StudyTiers
from eenas.records.studies import StudyRecord
from eenas.specs import digest, to_table
from eenas.study.context.study_context import StudyContext
from eenas.study.context.tiers import digests_of
from eenas.study.settings.expert_settings import ExpertSettings
from eenas.study.settings.study_spec import StudySpec
from eenas.tasks.task import Task

PROFILE = "latency_profile"
"""The key of a latency profile in an identity."""
DESCRIPTIONS = {
    "task": "the task (its data or splits)",
    "backbone": "the backbone (its code or initial weights)",
    PROFILE: "the latency profile (its measurements)",
    "code_of_costs": "the code of a cost",
    "times_of_tiers": "the file with the times of a tier",
}
_MAX_LENGTH = 60
"""Characters of a value that a message shows."""


def study_identity(
    settings: StudySpec,
    task: Task,
    backbone_digest: str,
    device: str,
    latencies: LatencyProfile | None = None,
    own_costs: Sequence[OwnCost] = (),
    tiers: StudyTiers | None = None,
) -> dict[str, Any]:
    """Return the identity of a study as a table.

    With a latency profile, the device is that of the profile, so that workers on any hardware share the study.

    It holds task and splits, backbone and weights, space, training, objectives, device and seed. It also holds the
    digest of a latency profile, which covers its measurements and conditions, the study's own costs with their tables
    and code, and its tiers with their measurements. It leaves out the number of trials and the time limit, since a
    study can be prolonged, and the settings that only decide which trials are queued first.
    """
    code = {each.name: text for each in own_costs if (text := code_of(each.cost))}
    return {
        "task": task.digest,
        "backbone": backbone_digest,
        **settings_identity(settings),
        "space": settings.space.digest,
        "space_version": settings.space.version,
        "latency": to_table(settings.latency),
        "device": device if latencies is None else latencies.whole.device,
        **({"experts": _expert_table(settings)} if may_have_experts(settings.space) else {}),
        **({} if latencies is None else {PROFILE: latencies.digest}),
        **({} if settings.tiers is None else {"tiers": to_table(settings.tiers), "times_of_tiers": digests_of(tiers)}),
        **({} if not settings.costs else {"costs": to_table(settings.costs), "code_of_costs": code}),
    }


def settings_identity(settings: StudySpec) -> dict[str, Any]:
    """Return the part of an identity that the settings give alone, without data, weights and measurements."""
    search, bank = to_table(settings.search), to_table(settings.bank)
    del bank["earlier"]
    return {
        "backbone_name": settings.backbone.name,
        "weights": settings.backbone.weights,
        "training": to_table(settings.training),
        "prepare": to_table(settings.prepare),
        "bank": {**bank, "feature_cache": bool(settings.bank.feature_cache)},
        "objectives": search["objectives"],
        "sampler": search["sampler"],
        **({"accuracy": search["accuracy"]} if search["accuracy"] != "plain" else {}),
        "constraints": to_table(settings.constraints),
        "seed": settings.seed,
    }


def sampler_name(sampler: BaseSampler) -> str:
    """Return the name of a user's sampler in an identity."""
    return f"{type(sampler).__module__}.{type(sampler).__qualname__}"


def _expert_table(settings: StudySpec) -> dict[str, Any]:
    """Return the settings of experts that change scores of trials."""
    table: dict[str, Any] = to_table((settings.experts or ExpertSettings()).brief("shared"))
    return {name: value for name, value in table.items() if name not in ("trial_samples", "batch_norm")}


def default_name(identity: dict[str, Any], task: str) -> str:
    """Return a name from backbone, task and a short digest, such as `resnet50-digits-3f9a1c`."""
    backbone = str(identity["backbone_name"]).replace("/", "_").replace(":", "_").lstrip("._")
    name = f"{backbone}-{task}"
    return f"{name if len(name) < LONGEST // 2 and one_line(name) == name else file_part(name)}-{digest(identity)[:6]}"


def differences(identity: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two identities differ. With the same latency profile, the device does not count."""
    profile = identity.get(PROFILE)
    left_out = {"device"} if profile is not None and profile == other.get(PROFILE) else set()
    keys = dict.fromkeys((*identity, *other))
    return [key for key in keys if key not in left_out and identity.get(key) != other.get(key)]


def describe_differences(keys: Sequence[str], here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Return the differences of two identities in these keys, field by field: "training.epochs is 2.0 and was 1.0".

    `here` and `there` are the identities of `with_space_settings`, which hold settings instead of digests.
    """
    parts = []
    for key in keys:
        if key in DESCRIPTIONS:
            parts.append(DESCRIPTIONS[key])
            continue
        found = specs.differing(here.get(key), there.get(key), key)
        parts += [f"{name} is {_text(now)} and was {_text(before)}" for name, now, before in found]
    return ", ".join(parts)


def with_space_settings(identity: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity that holds the search space as a table of settings, not only as a digest."""
    space = settings.get("space", identity.get("space"))
    return {**identity, "space": {"settings": space, "digest": identity.get("space")}}


def differs_from(context: StudyContext, identity: Mapping[str, Any], record: StudyRecord) -> str:
    """Return the differences between a study of `context` and a stored one, as text."""
    keys = differences(identity, record.identity)
    here, there = (
        with_space_settings(identity, to_table(context.settings)),
        with_space_settings(record.identity, record.settings),
    )
    text = describe_differences(keys, here, there)
    own = context.backbone.weights == "own" and not context.is_fresh
    if "backbone" in keys and own:
        text += " (untrained weights are part of the study: give the same weights, drawn with the same seed)"
    return text


def _text(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, default=str)
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 3] + "..."
