"""Output on a simulated fleet: a row for each number of devices."""

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.deployment.fleet.fleet_runs import FleetRuns
from eenas.reporting.facts.tiers.fleet_facts import fleet_rows


def fleet_table(found: FleetRuns) -> Table:
    """Return latencies, shares, energy, bytes and loads for each number of devices."""
    shares = ("off-\nloaded", "dropped", "accuracy")
    heads = ("devices", "median\nms", "p90", "p99", "max", *shares, "J", "kB", "link\nbusy", "server\nbusy")
    made = table("", *heads, right=range(len(heads)))
    for row in fleet_rows(found):
        made.add_row(*vars(row).values())
    made.caption = "J and kB sent: of a sample; dropped: answered on the device at the deadline"
    made.caption_justify = "left"
    return made
