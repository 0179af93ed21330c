"""The part of a run's report on distorted test samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eenas import specs
from eenas.policies.contexts.context_scores import ContextScores
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.policy import Policy


@dataclass(frozen=True, kw_only=True)
class ContextReport:
    """A network on pristine and distorted test samples.

    `common` are the scores of the reported policy in each context. If the study asks for thresholds per context,
    `policy` has them, and `own` are its scores.
    """

    common: tuple[ContextScores, ...]
    own: tuple[ContextScores, ...] = ()
    policy: Policy | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the report in a table. Raises SpecError and PolicyError."""
        policy = table.get("policy")
        made = {} if policy is None else {"policy": policy_from_table(policy, file=file, key=f"{key}.policy")}
        return specs.read_fields(cls, {**table, **made}, file=file, key=key)
