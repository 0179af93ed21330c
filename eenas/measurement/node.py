"""The name of this machine in measurements."""

import os
import socket

from eenas.errors import MeasurementError
from eenas.escaping import shortened

NODE = "EENAS_NODE"
"""The variable that replaces the host name, for containers, whose host names change."""
LONGEST = 255


def node_name() -> str:
    """Return the name of this node: EENAS_NODE, else the host name. Raises MeasurementError for an unusable one."""
    name = os.environ.get(NODE) or socket.gethostname()
    if len(name) > LONGEST or not name.isprintable() or name != name.strip():
        raise MeasurementError(
            f"{NODE} must be a printable name of at most {LONGEST} characters, got {shortened(name)}; "
            "set it to the name of this machine"
        )
    return name
