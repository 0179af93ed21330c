"""`eenas.runtime`: exported models without torch, for those who have eenas; `runtime.py` beside a model is the same."""

from eenas.programs.runtime import ExitStatistics, ExportedModel, Prediction, load

__all__ = ["ExitStatistics", "ExportedModel", "Prediction", "load"]
