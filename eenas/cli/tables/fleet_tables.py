"""Output on a simulated fleet: a row for each number of devices."""

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.deployment.fleet.fleet_runs import FleetRuns
from eenas.reporting.facts.tiers.fleet_facts import fleet_rows


def fleet_table(found: FleetRuns) -> Table:
    """Return latencies, shares, energy where it is given, bytes and loads for each number of devices."""
    shares = ("off-\nloaded", "dropped", "accuracy")
    rows = fleet_rows(found)
    energy = ("J",) if any(row.energy for row in rows) else ()
    heads = ("devices", "median\nms", "p90", "p99", "max", *shares, *energy, "kB", "link\nbusy", "server\nbusy")
    made = table("", *heads, right=range(len(heads)))
    for row in rows:
        made.add_row(*(text for name, text in vars(row).items() if energy or name != "energy"))
    units = "J and kB sent" if energy else "kB sent"
    made.caption = f"{units}: of a sample; dropped: answered on the device at the deadline"
    made.caption_justify = "left"
    return made
