"""User-given names: checks, and their safe use as one part of a path."""

import hashlib
import re

from eenas.errors import SpecError
from eenas.escaping import one_line, shortened

LONGEST = 200
"""The largest number of characters of a name."""
_PLAIN = re.compile(r"\w[\w .,+=@()-]*")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Device names that Windows reserves in every folder and with every extension."""
_BYTES = 120


def check_name(name: str, what: str) -> str:
    """Return `name` unchanged. Raises SpecError if it is empty, too long, or has control or invisible characters."""
    if not name.strip():
        raise SpecError(f"{what} must have a name that is not blank, got {name!r}; give one")
    if len(name) > LONGEST:
        raise SpecError(f"the name of {what} must have at most {LONGEST} characters, got {shortened(name)}; shorten it")
    if one_line(name) != name:
        raise SpecError(f"the name of {what} must have no control or invisible characters, got {name!r}; remove them")
    return name


def file_part(name: str) -> str:
    """Return `name` as one part of a path: unchanged if safe on every file system, else cleaned with a digest.

    Different names give different parts. No part is empty, hidden, a device, too long, or a way out of its folder.
    """
    if _PLAIN.fullmatch(name) and name[-1] not in ". " and not _RESERVED.fullmatch(name) and _size(name) <= _BYTES:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-")[:60]
    return f"{kept}-{mark}" if kept else mark


def _size(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))
