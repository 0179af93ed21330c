"""The kinds of policies by name, and policies read from tables."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from eenas.errors import PolicyError, SpecError, nearest
from eenas.escaping import shortened
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.policy import Policy

KINDS: dict[str, type[Policy]] = {
    ThresholdPolicy.kind: ThresholdPolicy,
    PatiencePolicy.kind: PatiencePolicy,
    PatienceConfidencePolicy.kind: PatienceConfidencePolicy,
    VotePolicy.kind: VotePolicy,
    MostConfidentPolicy.kind: MostConfidentPolicy,
    GeometricPolicy.kind: GeometricPolicy,
}


def policy_from_table(table: Mapping[str, Any], *, file: str = "", key: str = "") -> Policy:
    """The policy that `Policy.to_table` wrote; without a kind it is a threshold policy.

    Raises SpecError for unknown and missing keys, PolicyError for an unknown kind and bad values; `file` and `key` say
    where the table stands.
    """
    where = ": ".join(part for part in (file, f"[{key}]" if key else "") if part) or "a policy"
    if not isinstance(table, Mapping):
        raise SpecError(f"{where}: must be a table, got {shortened(table)}")
    values = dict(table)
    kind = values.pop("kind", ThresholdPolicy.kind)
    if not isinstance(kind, str) or kind not in KINDS:
        raise PolicyError(f"{where}: unknown kind of policy {shortened(kind)}; {nearest(str(kind), KINDS)}")
    # Every kind is a dataclass (`Policy` says so), which the type of the base class cannot say.
    fields = {field.name: field for field in dataclasses.fields(KINDS[kind])}  # type: ignore[arg-type]
    if unknown := [name for name in values if name not in fields]:
        raise SpecError(f"{where}: unknown key {shortened(unknown[0])}; {nearest(str(unknown[0]), fields)}")
    needed = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    if missing := [name for name in needed if name not in values]:
        raise SpecError(f"{where}: the key {shortened(missing[0])} is missing; add it")
    if "policy" in values:
        values["policy"] = policy_from_table(values["policy"], file=file, key=f"{key}.policy" if key else "policy")
    return KINDS[kind](**values)
