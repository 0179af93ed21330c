"""How a contract test finds its plug-in: an object, a name, or a reference relative to the file of the test."""

import inspect
from pathlib import Path


def home_of(test: object) -> Path:
    """The folder of the file in which the class of a test stands, which a `./file.py` of it is relative to."""
    return Path(inspect.getfile(type(test))).parent
