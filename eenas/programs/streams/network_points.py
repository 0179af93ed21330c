"""The points of a series that each exit of a network waits for."""

from eenas.backbones.models.series.unrolled import TimeStep
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.streams.stream_points import SEEN_POINTS


def seen_points_of(network: EarlyExitNetwork) -> dict[str, list[int]]:
    """Return the entry of the manifest, empty for a network whose exits all wait for the whole series."""
    steps = {name: part for name, part in network.backbone.named_modules() if isinstance(part, TimeStep)}
    if not steps:
        return {}
    length = max(step.points for step in steps.values())
    return {SEEN_POINTS: [length if name == network.final else steps[name].points for name in network.exits]}
