"""The runtime of exported models, without torch; the same as `runtime.py` beside a model."""

from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.splitee import SplitEE
from eenas.programs.prediction import ExitStatistics, Prediction
from eenas.programs.remote.split_table import SplitRow, SplitTable
from eenas.programs.runtime import ExportedModel, load

__all__ = [
    "AdaEE",
    "Controller",
    "DriftGuard",
    "ExitStatistics",
    "ExportedModel",
    "FixedThresholds",
    "Prediction",
    "SplitEE",
    "SplitRow",
    "SplitTable",
    "load",
]
