"""The comparison of learned policies with one common threshold on the network of a report, as HTML."""

from eenas.policies.learned.comparison import compare_learned, comparison_words
from eenas.policies.learned.selection import LEAST_SAMPLES
from eenas.reporting.facts.picked import Picked, of_point
from eenas.reporting.facts.policy_rows import POLICY_HEADS, policy_rows
from eenas.reporting.report.templates import render


def policies_html(picked: Picked, measure: str) -> str:
    """Return the table for the tables of `picked`, or a sentence if no gate can be trained. `measure`: the accuracy."""
    found = compare_learned(picked.calibration, picked.validation, backbone_macs=picked.backbone_macs)
    if not found:
        text = f"they need a branch and {LEAST_SAMPLES} calibration samples, got {len(picked.calibration)} samples"
        return render("sentence.html", title="Learned policies", sentence=f"Not compared: {text}.")
    return render(
        "policies.html",
        point=of_point(picked),
        words=comparison_words(found),
        measure=measure,
        heads=POLICY_HEADS,
        rows=policy_rows(found),
    )
