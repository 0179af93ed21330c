"""The experts in a manifest: the classifier that chooses them, and their temperatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eenas.errors import ExportError
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.policy import Policy
from eenas.policies.values import LEAST_TEMPERATURE
from eenas.programs.json_files import entry, is_number, is_text, need
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier


@dataclass(frozen=True, kw_only=True)
class ExpertFacts:
    """The experts of an exported network: `temperatures` [experts][K] divide the logits of confidences.

    `classifier` chooses the expert of each sample. `final_layer` is the name of the backbone's last layer, of which
    each expert has a copy, or None if they share it. With `own_norms`, every expert but the first has its own batch
    normalisation in the backbone, and hence its own program for each segment.
    """

    classifier: DistortionClassifier
    temperatures: tuple[tuple[float, ...], ...]
    final_layer: str | None = None
    own_norms: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the experts."""
        return tuple(self.classifier.kinds)

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "classifier": self.classifier.to_table(),
            "temperatures": [list(row) for row in self.temperatures],
            "final_layer": self.final_layer,
            **({"own_norms": True} if self.own_norms else {}),
        }


def expert_facts(table: Any, exits: Sequence[str], shape: Sequence[int]) -> ExpertFacts:
    """Return the checked experts of a manifest, for these exits and samples of this `shape`.

    Raises ExportError with the place, and InputError for numbers of the classifier that do not fit together.
    """
    need(isinstance(table, dict), "experts", "a table", table)
    for name in table:
        known = ("classifier", "temperatures", "final_layer", "own_norms")
        need(name in known, "experts", f"a table of {', '.join(known)}", name)
    classifier = DistortionClassifier.from_table(entry(table, "classifier", "experts"), key="experts.classifier")
    found = list(classifier.shape)
    need(found == list(shape), "experts.classifier.shape", f"the shape of a sample, {list(shape)}", found)
    temperatures, count = entry(table, "temperatures", "experts"), len(classifier.kinds)
    rows = isinstance(temperatures, list) and len(temperatures) == count
    rows = rows and all(isinstance(row, list) and len(row) == len(exits) for row in temperatures)
    need(rows, "experts.temperatures", f"{count} lists of {len(exits)} numbers", temperatures)
    right = all(is_number(value, LEAST_TEMPERATURE) for row in temperatures for value in row)
    need(right, "experts.temperatures", f"finite and at least {LEAST_TEMPERATURE:g}", temperatures)
    layer = entry(table, "final_layer", "experts")
    need(layer is None or is_text(layer), "experts.final_layer", "the name of a layer or null", layer)
    own = table.get("own_norms", False)
    need(isinstance(own, bool), "experts.own_norms", "true or false", own)
    return ExpertFacts(
        classifier=classifier,
        temperatures=tuple(tuple(float(value) for value in row) for row in temperatures),
        final_layer=layer,
        own_norms=own,
    )


def check_policies(policies: Mapping[str, Policy | None], facts: ExpertFacts | None) -> None:
    """Raise ExportError, with the place, unless the policies of a manifest are those of its experts.

    Without experts, no policy is one of experts.
    """
    for place, policy in policies.items():
        if isinstance(policy, ExpertPolicy) != (facts is not None) and policy is not None:
            own = "one for each expert" if facts is not None else "for a network without experts"
            raise ExportError(f"{place} must be {own}, got one of kind {policy.kind!r:.60}")
        if isinstance(policy, ExpertPolicy) and facts is not None and tuple(policy.names) != facts.names:
            raise ExportError(
                f"{place} must be for the experts {', '.join(facts.names)}, got {', '.join(policy.names)}"
            )
