"""The part of a run's report on its experts for distorted images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eenas import specs
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.programs.experts.expert_facts import ExpertFacts, expert_facts
from eenas.programs.json_files import need
from eenas.tasks.distortions.contexts import CLEAN, kind_of, severity_of
from eenas.tasks.distortions.strengths import SEVERITIES


@dataclass(frozen=True, kw_only=True)
class ExpertReport:
    """The experts of a fully trained network: how they were made, the classifier that chooses them, and their worth.

    `share` is the largest mean MACs of each expert, as a share of the plain backbone's.
    """

    spec: ExpertSpec
    share: float
    facts: ExpertFacts
    figures: ExpertFigures

    @property
    def policy(self) -> ExpertPolicy:
        """The policy of the network with experts."""
        found = self.figures.reported.policy
        assert isinstance(found, ExpertPolicy)  # `from_table`
        return found

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the report in a table. Raises ExportError, SpecError, PolicyError and InputError."""
        if isinstance(table["spec"], Mapping):  # earlier reports had no other batch normalisation and did not name it
            table = {**table, "spec": {"batch_norm": "shared", **table["spec"]}}
        facts, figures = table["facts"], specs.from_table(ExpertFigures, table["figures"], key=f"{key}.figures")
        policy, exits = figures.reported.policy, len(figures.macs)
        need(isinstance(policy, ExpertPolicy), "the policy of experts", "one for each expert", policy.kind)
        found = expert_facts(facts, [str(k) for k in range(exits)], facts["classifier"]["shape"])
        names = list(found.names)
        need(list(figures.names) == names, "the names of experts", f"{names}", list(figures.names))
        need(policy.num_exits == len(figures.accuracy) == exits, "the exits of experts", f"{exits}", policy.num_exits)
        _check_contexts(figures)
        made = specs.read_fields(cls, {**table, "facts": found, "figures": figures}, file=file, key=key)
        need(names[1:] == list(made.spec.kinds), "the names of experts", f"{list(made.spec.kinds)}", names[1:])
        return made


def _check_contexts(figures: ExpertFigures) -> None:
    """Raise ExportError unless there are contexts of every expert, and shares of every expert in each."""
    names, contexts = list(figures.names), figures.contexts
    kinds = dict.fromkeys(kind_of(each.context) for each in contexts if severity_of(each.context) in (0, *SEVERITIES))
    need(list(kinds) == [CLEAN, *names[1:]], "the contexts of experts", f"those of {names}", list(kinds))
    shares = {len(each.chosen) for each in contexts}
    need(shares == {len(names)}, "the shares of experts", f"{len(names)} in each context", sorted(shares))
    need(figures.backbone_macs > 0, "the backbone's MACs", "positive", figures.backbone_macs)
