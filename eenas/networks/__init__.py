"""Networks: a design built, with weights."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.networks.assembly import build_network
    from eenas.networks.exit_costs import ExitCosts
    from eenas.networks.network import EarlyExitNetwork
    from eenas.networks.tables import exit_table

_HOMES = {
    "EarlyExitNetwork": "network",
    "ExitCosts": "exit_costs",
    "build_network": "assembly",
    "exit_table": "tables",
}
__all__ = [
    "EarlyExitNetwork",
    "ExitCosts",
    "build_network",
    "exit_table",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
