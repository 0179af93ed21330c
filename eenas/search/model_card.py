"""The model card of an exported network, in Markdown."""

from eenas.deployment.exit_latency import ProgramLatency
from eenas.designs.design import Design
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.fit import declined
from eenas.search.run_report import RunReport
from eenas.search.traits import Traits

USE = """## Use

```python
import eenas

network = eenas.load("THIS_FOLDER")  # an nn.Module in eval mode
x = network.transform(images)  # uint8 [N, C, S, S] -> float32
logits = network(x)  # one tensor [N, classes] for each exit
"""


DEVICE = """
## On a device

What is needed of this folder is `eenas.json`, `runtime.py` and the `segment_*` files.

```python
import runtime

model = runtime.load("THIS_FOLDER")
answer = model.predict(images)  # uint8 [N, C, S, S]; answer.classes, answer.exits, answer.confidences
model.set_budget(macs=0.5)  # another operating point
```
"""
"""What the card of a network with programs says besides."""


def run_card(report: RunReport) -> str:
    """The card of a fully trained network: what it is, what it scored on the test split, and under which conditions."""
    backbone, point = report.backbone, report.reported
    lines = [
        f"# {backbone.name} with {len(report.design.branches)} early exits on {report.task}",
        "",
        f"Accuracy {point.accuracy:.2%} on {report.test_samples:,} test samples at "
        f"{point.expected_macs / backbone.macs:.1%} of the backbone's MACs "
        f"(the plain backbone: {backbone.accuracy:.2%}, {backbone.macs / 1e6:,.1f} M MACs).",
        "",
        "| exit | structure | share of MACs | latency, ms | accuracy of all | temperature | leaves here |",
        "|---|---|---|---|---|---|---|",
    ]
    for exit_ in report.exits:
        latency = "" if exit_.latency_ms is None else f"{exit_.latency_ms:.2f}"
        lines.append(
            f"| {exit_.name} | {exit_.structure} | {exit_.macs_share:.1%} | {latency} | {exit_.accuracy:.2%} "
            f"| {exit_.temperature:.2f} | {exit_.share:.1%} |"
        )
    lines += ["", "| budget, share of MACs | accuracy | MACs really spent | leaves at |", "|---|---|---|---|"]
    for share, found in report.at_shares.items():
        if found is not None:
            spent = found.expected_macs / backbone.macs
            lines.append(f"| {share:.0%} | {found.accuracy:.2%} | {spent:.1%} | {found.policy.label()} |")
    lines += [
        "",
        "MACs are multiply-accumulates (1 MAC = 2 FLOPs) and include every branch on the way. Latency is of a batch of "
        f"{report.latency_batch} {_where(report)}. Temperatures and thresholds were fitted on the "
        "calibration split; the test split was used once, for this card.",
        "",
        *([f"Not the default: {traits}.", ""] if (traits := Traits.of(report.design, point.policy).words()) else []),
        *(line for sentence in declined(report.design.policy, point.policy) for line in (sentence, "")),
        USE + "answer = network.predict(x)  # answer.classes [N], answer.exits [N]\n```",
        "",
        f"Made by the study `{report.study}`; `design.json` replays the architecture.",
        "",
    ]
    return "\n".join(lines)


def _where(report: RunReport) -> str:
    if report.latency is None or report.latency.runtime.startswith("torch "):
        return f"in eager PyTorch on {report.device if report.latency is None else report.latency.device}"
    return f"in {report.latency.runtime.partition(',')[0]} (a program for each segment) on {report.latency.device}"


def latency_card(found: ProgramLatency) -> str:
    """What the card of a network with programs says of their latency: measured, beside what was predicted."""
    heads = ("exit", "measured, ms", *(("predicted, ms", "difference") if found.predicted_ms else ()))
    lines = ["", "## Latency of the programs", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for k, name in enumerate(found.exits):
        measured = found.measured_ms[k]
        cells = [name, f"{measured:.3f}"]
        if found.predicted_ms:
            cells += [f"{found.predicted_ms[k]:.3f}", f"{found.predicted_ms[k] / measured - 1:+.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    said = f"Measured end to end: {found.conditions}."
    return "\n".join([*lines, "", f"{said} Predicted: {found.prediction}." if found.predicted_ms else said, ""])


def untrained_card(design: Design, network: EarlyExitNetwork) -> str:
    """The card of an architecture whose weights are not trained."""
    rows = [f"| {placed.cut_point} | {placed.branch.label()} |" for placed in design.branches]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return "\n".join(
        [
            f"# {design.backbone} with {len(design.branches)} early exits, untrained",
            "",
            f"{design.num_classes} classes, {design.input_size} px, {parameters:,} parameters. The weights are initial "
            "ones and no thresholds are fitted: train it in your own loop on the sum of the exits' losses.",
            "",
            "| exit | structure |",
            "|---|---|",
            *rows,
            "| final | backbone's classifier |",
            "",
            USE + "```",
            "",
        ]
    )
