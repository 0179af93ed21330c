"""The runtime of exported models, without torch; the same as `runtime.py` beside a model."""

from eenas.programs.runtime import ExitStatistics, ExportedModel, Prediction, load

__all__ = ["ExitStatistics", "ExportedModel", "Prediction", "load"]
