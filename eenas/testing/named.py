"""The base folder for the references of a contract test."""

import inspect
from pathlib import Path


def home_of(test: object) -> Path:
    """Return the folder of the file that defines the test's class. Its `./file.py` references are relative to it."""
    return Path(inspect.getfile(type(test))).parent
