"""The kinds of policies by name, custom kinds by reference, and reading policies from tables."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eenas.bounds import check_keys, located
from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.plugins import Registry, class_problem, is_reference
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.signal_policy import SignalPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.policy import Policy

FITTED: dict[str, type[SignalPolicy]] = {
    ThresholdPolicy.kind: ThresholdPolicy,
    PatiencePolicy.kind: PatiencePolicy,
    PatienceConfidencePolicy.kind: PatienceConfidencePolicy,
    VotePolicy.kind: VotePolicy,
    **LEARNED,
}
"""The kinds that can be fitted, by name."""

KINDS: dict[str, type[Policy]] = {
    **FITTED,
    MostConfidentPolicy.kind: MostConfidentPolicy,
    GeometricPolicy.kind: GeometricPolicy,
    ExpertPolicy.kind: ExpertPolicy,
    ContextPolicy.kind: ContextPolicy,
}
"""All kinds by name: those of FITTED and those that wrap other policies."""


_PUBLIC = "eenas.policies.ConfidencePolicy (or eenas.policies.SignalPolicy)"


def fitted_kind(kind: str) -> type[SignalPolicy]:
    """Return the class of a kind of FITTED, or of a custom kind that is already loaded (`POLICIES.find`)."""
    return POLICIES.find(kind)


def load_policies(tables: Any, *, trust_code: bool, relative_to: Path | None = None) -> None:
    """Load all custom kinds of policies named in `tables`, which are nested JSON values.

    Raises PluginError for code that is not trusted or does not load, and PolicyError if it is not a kind of policy.
    """
    for kind in sorted(set(_named(tables))):
        POLICIES.find(kind, trust_code=trust_code, relative_to=relative_to)


def policy_from_table(table: Mapping[str, Any], *, file: str = "", key: str = "") -> Policy:
    """Return the policy that `Policy.to_table` wrote. The kind defaults to "threshold".

    Raises SpecError for unknown and missing keys, and PolicyError for an unknown kind and invalid values. `file` and
    `key` locate the table in error messages.
    """
    check_keys(table, table, file=file, key=key, kind="a policy")
    values, where = dict(table), located(file, key) or "a policy"
    kind = values.pop("kind", ThresholdPolicy.kind)
    if not isinstance(kind, str) or not (kind in KINDS or is_reference(kind)):
        raise PolicyError(f"{where}: unknown kind of policy {shortened(kind)}; {nearest(str(kind), KINDS)}")
    found = KINDS[kind] if kind in KINDS else fitted_kind(kind)
    # Every kind is a dataclass by the contract of `Policy`; its type cannot express that.
    fields = {field.name: field for field in dataclasses.fields(found)}  # type: ignore[arg-type]
    needed = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    check_keys(values, fields, needed, file=file, key=key, kind="a policy")
    if "policy" in values:
        values["policy"] = policy_from_table(values["policy"], file=file, key=f"{key}.policy" if key else "policy")
    if "policies" in values and isinstance(values["policies"], list | tuple):
        inner = f"{key}.policies" if key else "policies"
        values["policies"] = [
            policy_from_table(each, file=file, key=f"{inner}[{number}]")
            for number, each in enumerate(values["policies"])
        ]
    return found(**values)


def _named(tables: Any) -> Iterator[str]:
    """Yield the references among the kinds of policies in nested tables."""
    if isinstance(tables, Mapping):
        policy = tables.get("policy")
        several = tables.get("policies")
        for each in (policy, *(several if isinstance(several, list | tuple) else ())):
            if isinstance(each, Mapping) and isinstance(kind := each.get("kind"), str) and is_reference(kind):
                yield kind
        for value in tables.values():
            yield from _named(value)
    elif isinstance(tables, list | tuple):
        for value in tables:
            yield from _named(value)


def _accept(kind: str, found: Any) -> type[SignalPolicy]:
    """Check a custom class and set its kind to the reference. Raises PolicyError."""
    problem = class_problem(found, SignalPolicy, public=_PUBLIC)
    if problem and not __name__.startswith("eenas."):
        problem = "is read by eenas.runtime; import that in the place of runtime.py"
    if problem:
        raise PolicyError(f"{kind}: {problem}")
    own: type[SignalPolicy] = found
    own.kind = kind
    return own


POLICIES: Registry[type[SignalPolicy]] = Registry("kind of policy", FITTED, accept=_accept, error=PolicyError)
