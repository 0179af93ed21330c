"""The limit that a full training certifies: a loss against the final exit, with a confidence."""

from eenas.errors import StudyError
from eenas.policies.risk.control import RiskLimit, check_samples
from eenas.results.choice import Choice, Chosen
from eenas.results.front import ACCEPTED_DROP
from eenas.runs.run_report import RunReport


def certified_limit(choice: Choice, chosen: Chosen) -> RiskLimit | None:
    """Return the limit of a choice with a confidence: its accuracy drop (default ACCEPTED_DROP); None without one.

    Raises StudyError for a static network, which has no final exit to compare with, and for limits on the worst case,
    which keep samples from the final exit.
    """
    if choice.confidence is None:
        return None
    if len(chosen.design.exits) < 2:
        raise StudyError(
            f"{chosen.name or 'the design'} has a single exit, so there is no loss against a final exit to certify; "
            "leave --confidence out, or choose another network"
        )
    if chosen.limits.worst:
        raise StudyError("a worst-case limit may end the network before its final exit; leave --confidence out")
    drop = ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop
    return RiskLimit(max_risk=drop, confidence=choice.confidence)


def check_calibration(limit: RiskLimit | None, samples: int) -> None:
    """Raise PolicyError, before any training, if a calibration split of `samples` is too small for the limit."""
    if limit is not None:
        check_samples(limit, samples)


def keeps(report: RunReport, limit: RiskLimit | None) -> bool:
    """Whether the report of a finished run has the guarantee of a limit, or none is asked for."""
    found = report.reported.guarantee
    if limit is None:
        return True
    return found is not None and (found.max_risk, found.confidence) == (limit.max_risk, limit.confidence)
