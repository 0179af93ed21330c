"""Runs: full training, its report, and the fidelity of brief scores."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.runs.fidelity import Fidelity, measure_fidelity
    from eenas.runs.full_training import train
    from eenas.runs.run_report import RunReport

_HOMES = {
    "Fidelity": "fidelity",
    "RunReport": "run_report",
    "measure_fidelity": "fidelity",
    "train": "full_training",
}
__all__ = [
    "Fidelity",
    "RunReport",
    "measure_fidelity",
    "train",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
