"""Names that a user gives: what they may be, and how they become one part of a path and never more."""

import hashlib
import re

from eenas.errors import SpecError
from eenas.escaping import one_line, shortened

LONGEST = 200
"""Characters of a name."""
_PLAIN = re.compile(r"\w[\w .,+=@()-]*")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names of devices, which Windows takes wherever they stand and whatever follows the dot."""
_BYTES = 120


def check_name(name: str, what: str) -> str:
    """`name` as it was given. Raises SpecError for an empty or long one, and for characters that are not seen."""
    if not name.strip():
        raise SpecError(f"{what} must have a name, got {name!r}; give one")
    if len(name) > LONGEST:
        raise SpecError(f"the name of {what} has at most {LONGEST} characters, got {shortened(name)}; shorten it")
    if one_line(name) != name:
        raise SpecError(f"the name of {what} holds a control or an invisible character, got {name!r}; leave it out")
    return name


def file_part(name: str) -> str:
    """`name` as one part of a path: itself where every file system takes it, else its harmless part and a digest.

    Different names give different parts; none is empty, hidden, a device, longer than a file name, or leads elsewhere.
    """
    if _PLAIN.fullmatch(name) and name[-1] not in ". " and not _RESERVED.fullmatch(name) and _size(name) <= _BYTES:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-")[:60]
    return f"{kept}-{mark}" if kept else mark


def _size(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))
