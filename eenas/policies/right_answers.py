"""The samples that an operating point classifies correctly, packed into a short text for the record."""

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy


def right_answers(policy: Policy, table: ExitTable) -> NDArray[np.bool_]:
    """Return whether a policy is correct on each of the N samples of a table, [N]."""
    return np.asarray(policy.apply(table).answer == table.labels)


def pack(right: NDArray[np.bool_]) -> str:
    """Return the text of a list [N]: "N:" and its compressed bits in base64."""
    bits = zlib.compress(np.packbits(right).tobytes(), 9)
    return f"{len(right)}:{base64.b64encode(bits).decode('ascii')}"


def unpack(text: str) -> NDArray[np.bool_]:
    """Return the list [N] that `pack` wrote. Raises PolicyError for other text."""
    count, _, bits = text.partition(":")
    try:
        size = int(count)
        found = zlib.decompressobj().decompress(base64.b64decode(bits, validate=True), (size + 7) // 8 + 1)
    except (ValueError, binascii.Error, zlib.error):
        found, size = b"", 1
    if size < 1 or len(found) != (size + 7) // 8:
        raise PolicyError(f"not a list of correct answers: {text[:40]!r}; run the search again")
    return np.unpackbits(np.frombuffer(found, dtype=np.uint8), count=size).astype(np.bool_)
