"""The report of a full training on stdout: the summary, the exits and the baselines."""

from rich.console import Console

from eenas.cli.tables.expert_tables import experts_table, worth_table
from eenas.cli.tables.tables import table
from eenas.percent import percent
from eenas.policies.costs import KNOWN, LATENCY, MACS
from eenas.reporting.facts.distortion_facts import context_rows
from eenas.reporting.facts.policy_rows import POLICY_HEADS, policy_rows
from eenas.reporting.facts.run_facts import budget_rows, run_summary
from eenas.reporting.facts.wording import cost_text, cost_word, milliseconds, place, quantity
from eenas.runs.context_report import ContextReport
from eenas.runs.run_report import RunReport

CONTEXTS = "Pristine and distorted test samples"
EXITS = "Their exits: % right alone, calibration error in points; % wasteful and destructive overthinking"
OWN_THRESHOLDS = "The same with thresholds and temperatures of each context"
CONTEXT_HEADS = ("", "accuracy", "backbone", "MACs", "% leaving at each exit")
EXIT_HEADS = ("", "alone", "error", "backbone's", "wasteful", "destructive")


def print_report(report: RunReport, console: Console) -> None:
    """Print the summary, the exits, the budgets and the comparisons of one run."""
    for line in run_summary(report):
        console.print(line)
    console.print()
    own = {each.name: each.unit for each in report.costs if each.name not in KNOWN}
    made = table(
        f"Exits on {report.test_samples} test samples (latency: composed of parts, and measured end to end)",
        *("exit", "structure", "MACs", "share", "composed", "end to end"),
        *("alone", "temp.", "leave"),
        right=range(2, 9),
    )
    for exit_ in report.exits:
        made.add_row(
            place(exit_.name),
            exit_.structure,
            quantity(exit_.costs[MACS]),
            percent(exit_.macs_share, 0),
            milliseconds(exit_.costs.get(LATENCY)),
            milliseconds(None if exit_.end_to_end is None else exit_.end_to_end.median_ms),
            percent(exit_.accuracy),
            f"{exit_.temperature:.2f}",
            percent(exit_.share, 0),
        )
    console.print(made)
    if own:
        made = table("Their other costs", "exit", *map(cost_word, own), right=range(1, 1 + len(own)))
        for exit_ in report.exits:
            costs = (cost_text(name, exit_.costs.get(name), unit) for name, unit in own.items())
            made.add_row(place(exit_.name), *costs)
        console.print(made)
    if report.contexts is not None:
        _print_contexts(report.contexts, report.backbone.macs, console)
    if report.experts is not None:
        console.print(experts_table(report.experts.figures))
        console.print(worth_table(report.experts.figures))
    rows = budget_rows(report)
    if rows:
        shares = [share for share, _, _ in rows[0].cells]
        made = table(
            f"{report.measure.capitalize()} within a budget of MACs (in parentheses: MACs spent on the test split)",
            *("", *(percent(share, 0) for share in shares)),
            right=range(1, len(shares) + 1),
        )
        for row in rows:
            cells = (
                "–" if accuracy is None else f"{percent(accuracy)} ({percent(spent)})"
                for _, accuracy, spent in row.cells
            )
            made.add_row(row.name, *cells)
        console.print(made)
    if report.comparisons:
        made = table(
            "Points above a baseline (bootstrap, 95 %)",
            *("baseline", "budget", "difference", "interval"),
            right=(1, 2, 3),
        )
        for one in report.comparisons:
            interval = f"{100 * one.low:+z.2f} to {100 * one.high:+z.2f}"
            made.add_row(one.baseline, percent(one.budget, 0), f"{100 * one.difference:+z.2f}", interval)
        console.print(made)
    if report.policies:
        made = table("Learned policies against one common threshold at equal MACs", *POLICY_HEADS, right=range(1, 6))
        for texts in policy_rows(report.policies):
            made.add_row(*texts)
        console.print(made)


def _print_contexts(found: ContextReport, backbone_macs: float, console: Console) -> None:
    """Print the scores in each context, and those with thresholds per context if there are any."""
    for title, scores in ((CONTEXTS, found.common), (OWN_THRESHOLDS, found.own)):
        rows = context_rows(scores, backbone_macs)
        made = table(title, *CONTEXT_HEADS, right=range(1, len(CONTEXT_HEADS)))
        for row in rows:
            made.add_row(*row[: len(CONTEXT_HEADS)])
        exits = table(EXITS, *EXIT_HEADS, right=range(1, len(EXIT_HEADS)))
        for row in rows:
            exits.add_row(row[0], *row[len(CONTEXT_HEADS) :])
        for each in (made, exits) if rows else ():
            console.print(each)
