"""The mark of parts of a network whose output is packed: features of nodes with mask and edges."""

from torch import nn


class PackedModule(nn.Module):
    """A part of a network for graphs, which takes a packed tensor [N, M, D + c] with D = `inputs` features.

    Its output is packed with the same c columns, or has no nodes any more.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs


def first_packed(module: nn.Module) -> PackedModule | None:
    """Return the first `PackedModule` of a network, which takes its input, or None if it is no network for graphs."""
    return next((part for part in module.modules() if isinstance(part, PackedModule)), None)
