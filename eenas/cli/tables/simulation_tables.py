"""Output on simulated controllers: strategies and arms as tables."""

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.escaping import one_line
from eenas.policies.controllers.simulation import Simulation
from eenas.reporting.facts.simulation_facts import arm_rows, simulation_rows


def strategies_table(found: Simulation) -> Table:
    """Return the controller beside fixed arms, a random arm and the final exit only."""
    heads = ("", "pseudo-regret", "regret\nper sample", "reward", "accuracy", "cost", "leaving\nearly")
    made = table("", *heads, right=range(1, len(heads)))
    for row in simulation_rows(found):
        made.add_row(*(one_line(text) for text in vars(row).values()))
    made.caption = "cost: of the final exit's; fixed and random arms in expectation"
    made.caption_justify = "left"
    return made


def arms_table(found: Simulation) -> Table:
    """Return the mean reward of each arm, with * at the best one of each phase."""
    names = [one_line(phase.name) for phase in found.phases]
    made = table("Mean reward of each arm (* the best)", "arm", *names, right=range(1, 1 + len(names)))
    for row in arm_rows(found):
        made.add_row(row.name, *row.means)
    return made
