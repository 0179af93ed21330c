"""Use of Optuna's experimental features without warnings."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna


@contextmanager
def experimental() -> Iterator[None]:
    """Silence Optuna's warnings about experimental features inside the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
