"""A network as exported programs, their manifest, and the runtime that runs them."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.programs.model_folder import load, load_design
    from eenas.programs.prediction import ExitStatistics, Prediction
    from eenas.programs.preprocessing.preprocessing import Preprocessing
    from eenas.programs.runtime import ExportedModel

_HOMES = {
    "ExitStatistics": "prediction",
    "ExportedModel": "runtime",
    "Prediction": "prediction",
    "Preprocessing": "preprocessing.preprocessing",
    "load": "model_folder",
    "load_design": "model_folder",
}
__all__ = [
    "ExitStatistics",
    "ExportedModel",
    "Prediction",
    "Preprocessing",
    "load",
    "load_design",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
