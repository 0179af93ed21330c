"""The model card of an exported network, in Markdown."""

from collections.abc import Mapping
from typing import Any

from eenas.deployment.preparation import preparation_section, usage_section
from eenas.designs.design import Design
from eenas.errors import plural
from eenas.escaping import as_markdown
from eenas.networks.network import EarlyExitNetwork
from eenas.percent import percent
from eenas.policies.costs import KNOWN, LATENCY, MACS
from eenas.policies.fit import declined
from eenas.policies.risk.guarantee import Guarantee
from eenas.policies.split_costs import split_words
from eenas.programs.exit_latency import ProgramLatency
from eenas.runs.run_report import RunReport, largest_words, worse_words
from eenas.study.context.traits import Traits


def run_card(report: RunReport, *, timed_below: bool = False) -> str:
    """Return the card of a fully trained network: its structure, its test results and the conditions of measurement.

    With `timed_below`, latencies are left to `latency_card`, which reports those of the exported programs.
    """
    backbone, point = report.backbone, report.reported
    lines = [
        "# " + as_markdown(f"{backbone.name} with {len(report.design.branches)} early exits on {report.task}"),
        "",
        f"{report.measure.capitalize()} {percent(point.accuracy, 2)} on {report.test_samples:,} test samples"
        f"{largest_words(report.largest_class)} at "
        f"{percent(point.expected[MACS] / backbone.macs)} of the backbone's MACs "
        f"(the plain backbone: {percent(backbone.accuracy, 2)}, {backbone.macs / 1e6:,.1f} M MACs).",
        "",
    ]
    times = {**({} if timed_below else _times(report)), **_own_costs(report)}
    heads = ("exit", "structure", "share of MACs", *times, "accuracy on all", "temperature", "share leaving")
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for k, exit_ in enumerate(report.exits):
        cells = [
            as_markdown(exit_.name),
            as_markdown(exit_.structure),
            percent(exit_.macs_share),
            *(column[k] for column in times.values()),
        ]
        cells += [percent(exit_.accuracy, 2), f"{exit_.temperature:.2f}", percent(exit_.share)]
        lines.append(f"| {' | '.join(cells)} |")
    traits = Traits.of(report.design, point.policy).words()
    lines += ["", "| budget, share of MACs | accuracy | MACs spent | leaves at |", "|---|---|---|---|"]
    for share, found in report.at_shares.items():
        if found is not None:
            spent = found.expected[MACS] / backbone.macs
            label = as_markdown(found.policy.label(), starts_line=False)
            cells = [percent(share, 0), percent(found.accuracy, 2), percent(spent), label]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "MACs are multiply-accumulates (1 MAC = 2 FLOPs) and include every branch before the exit. "
        f"{'' if timed_below else _conditions(report)}Temperatures and thresholds were fitted on the "
        "calibration split. The test split was used once, for this card.",
        "",
        *(
            []
            if point.split is None
            else [as_markdown(f"Best split between the tiers: {split_words(point.split)}."), ""]
        ),
        *([] if report.codec is None else [as_markdown(report.codec.sentence()), ""]),
        *_cost_sentences(report),
        *([as_markdown(f"Training made it worse: {worse_words(report.worse)}."), ""] if report.worse else []),
        *([as_markdown(f"Not the default: {traits}."), ""] if traits else []),
        *(line for sentence in declined(report.design.policy, point.policy) for line in (as_markdown(sentence), "")),
        *([] if point.guarantee is None else [as_markdown(point.guarantee.sentence()), ""]),
        *_contexts(report),
        usage_section(report.transform, predicts=True),
        "",
        f"Found by the study {as_markdown(report.study)}. `design.json` describes the architecture.",
        "",
        *(() if report.transform is None else preparation_section(report.transform)),
    ]
    return "\n".join(lines)


def own_card(network: EarlyExitNetwork, measured: Mapping[str, Any]) -> str:
    """Return the card of a network from the user's own training. `measured` is its manifest's table, or empty."""
    design = network.design
    lines = [f"# {design.backbone} with {len(design.branches)} early exits, trained in the user's own loop", ""]
    if measured:
        reported, backbone = measured["reported"], measured["backbone"]
        lines += [
            f"Accuracy {percent(reported['accuracy'], 2)} on {measured['samples']:,} test samples of "
            f"{measured['task']} at {percent(reported['expected_macs'] / backbone['macs'])} of the backbone's "
            "MACs. Temperatures and thresholds were fitted on the calibration split.",
            "",
            *_guaranteed(reported),
            "| exit | structure | share of MACs | accuracy on all | temperature | share leaving |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {each['name']} | {each['structure']} | {percent(each['macs_share'])} | {percent(each['accuracy'], 2)} "
            f"| {each['temperature']:.2f} | {percent(each['share'])} |"
            for each in measured["exits"]
        ]
    else:
        lines.append("The network was exported without data, so nothing was measured.")
    lines += ["", usage_section(network.transform, predicts=network.policy is not None), ""]
    return "\n".join([*lines, *preparation_section(network.transform)])


def _contexts(report: RunReport) -> list[str]:
    """Return the section on thresholds per context, if the network has them: they decide, not the common ones."""
    if report.contexts is None or report.contexts.policy is None:
        return []
    lines = [
        "## Thresholds per context",
        "",
        "The thresholds of a context decide in `predict(batch, context=...)`. Without a context, and for an unknown "
        "one, thresholds fitted on all calibration samples decide. The figures above are of common thresholds, fitted "
        "on pristine samples; these are of the contexts' own, on test samples:",
        "",
        "| context | accuracy | share of MACs |",
        "|---|---|---|",
    ]
    for each in report.contexts.own:
        share = percent(each.macs / report.backbone.macs)
        lines.append(f"| {as_markdown(each.context)} | {percent(each.accuracy, 2)} | {share} |")
    return [*lines, ""]


def _guaranteed(reported: Mapping[str, Any]) -> list[str]:
    """Return the paragraph on the guarantee of a point in a manifest, if it has one."""
    if "guarantee" not in reported:
        return []
    return [as_markdown(Guarantee.from_table(reported["guarantee"]).sentence()), ""]


def _times(report: RunReport) -> dict[str, list[str]]:
    """Return the columns of the latencies: composed, and end to end if measured."""
    composed = [exit_.costs.get(LATENCY) for exit_ in report.exits]
    measured = [exit_.end_to_end for exit_ in report.exits]
    columns = {}
    if any(time is not None for time in composed):
        columns["composed, ms"] = ["" if time is None else f"{time:.2f}" for time in composed]
    if any(measured):
        columns["end to end, ms"] = ["" if each is None else f"{each.median_ms:.2f}" for each in measured]
    return columns


def _own_costs(report: RunReport) -> dict[str, list[str]]:
    """Return the columns of the study's own costs, by heading."""
    columns = {}
    for each in (each for each in report.costs if each.name not in KNOWN):
        values = [exit_.costs.get(each.name) for exit_ in report.exits]
        head = as_markdown(f"{each.name.replace('_', ' ')}, {each.unit}" if each.unit else each.name.replace("_", " "))
        columns[head] = ["" if value is None else f"{value:.4g}" for value in values]
    return columns


def _cost_sentences(report: RunReport) -> list[str]:
    """Return a sentence for each of the study's own costs: the expected value at the operating point and its source."""
    found = []
    for each in (each for each in report.costs if each.name in report.reported.expected and each.name not in KNOWN):
        value, whole = report.reported.expected[each.name], report.backbone.costs.get(each.name)
        beside = "" if whole is None else f" (the plain backbone: {whole:.3g} {each.unit})"
        name = each.name.replace("_", " ")
        found.append(as_markdown(f"Expected {name}: {value:.3g} {each.unit}{beside}; {each.provenance}."))
    return [line for sentence in found for line in (sentence, "")]


def _conditions(report: RunReport) -> str:
    """Return a sentence on how the latencies were measured, or "" without latencies."""
    if not _times(report):
        return ""
    both = (
        "composed of the search's measurements, and measured end to end"
        if any(exit_.end_to_end for exit_ in report.exits)
        else "composed of the search's measurements"
    )
    doubtful = any(exit_.end_to_end is not None and exit_.end_to_end.doubtful for exit_ in report.exits)
    noise = " The machine was never idle, so the figures are doubtful." if doubtful else ""
    return as_markdown(f"Latency is that of a batch of {report.latency_batch} {_where(report)}, {both}.{noise}") + " "


def _where(report: RunReport) -> str:
    if report.latency is None or report.latency.runtime.startswith("torch "):
        return f"in eager PyTorch on {report.device if report.latency is None else report.latency.device}"
    return f"in {report.latency.runtime.partition(',')[0]} (one program for each segment) on {report.latency.device}"


def latency_card(found: ProgramLatency) -> str:
    """Return the card's section on the latency of the programs, measured and, if available, predicted."""
    heads = ("exit", "measured, ms", *(("predicted, ms", "difference") if found.predicted_ms else ()))
    lines = ["", "## Latency of the programs", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for k, name in enumerate(found.exits):
        measured = found.measured_ms[k]
        cells = [as_markdown(name), f"{measured:.3f}"]
        if found.predicted_ms:
            cells += [f"{found.predicted_ms[k]:.3f}", f"{100 * (found.predicted_ms[k] / measured - 1):+z.1f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    text = as_markdown(f"Measured end to end: {found.conditions}.")
    return "\n".join(
        [*lines, "", f"{text} {as_markdown(f'Predicted: {found.prediction}.')}" if found.predicted_ms else text, ""]
    )


def untrained_card(design: Design, network: EarlyExitNetwork) -> str:
    """Return the card of an untrained architecture."""
    rows = [f"| {as_markdown(placed.cut_point)} | {as_markdown(placed.branch.label())} |" for placed in design.branches]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return "\n".join(
        [
            f"# {as_markdown(design.backbone)} with {len(design.branches)} early exits, untrained",
            "",
            f"{plural(design.num_classes, 'class', 'classes')}, {design.inputs}, {parameters:,} parameters. "
            "The weights are initial and no thresholds are fitted. Train it in your own loop on the sum of the "
            "exits' losses.",
            "",
            "| exit | structure |",
            "|---|---|",
            *rows,
            "| final | backbone's classifier |",
            "",
            usage_section(network.transform, predicts=False),
            "",
            *preparation_section(network.transform),
        ]
    )
