"""The layers of torch_geometric, an optional library."""

import warnings
from typing import Any

from torch import nn

from eenas.errors import BackboneError


def geometric_layers(label: str, otherwise: str) -> Any:
    """Return the module `torch_geometric.nn`.

    Raises BackboneError for `label` if the library is not installed; `otherwise` ends the message.
    """
    found = installed_layers()
    if found is None:
        raise BackboneError(
            f"{label}: needs torch_geometric, which is not installed; pip install 'eenas[graph]', {otherwise}"
        )
    return found


def installed_layers() -> Any | None:
    """Return the module `torch_geometric.nn`, or None if the library is not installed."""
    try:
        with warnings.catch_warnings():  # of TorchScript, which it uses while it is imported
            warnings.simplefilter("ignore")
            from torch_geometric import nn as layers
    except ImportError:
        return None
    return layers


def message_passing() -> type[nn.Module] | None:
    """Return torch_geometric's class of layers that pass messages, or None if the library is not installed."""
    if installed_layers() is None:
        return None
    from torch_geometric.nn.conv import MessagePassing  # tracing wraps the names of torch_geometric.nn, not these

    found: type[nn.Module] = MessagePassing
    return found
