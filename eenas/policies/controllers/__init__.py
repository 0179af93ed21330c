"""Controllers: bandits, drift detection and their replay; they adapt the thresholds of a model while it runs."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.policies.controllers.adaee import AdaEE
    from eenas.policies.controllers.bandit import BanditKind
    from eenas.policies.controllers.controlled_exits import ControlledExits
    from eenas.policies.controllers.controller import Controller, Feedback
    from eenas.policies.controllers.controller_kind import ControllerKind
    from eenas.policies.controllers.drift_guard import DriftGuard
    from eenas.policies.controllers.fixed import FixedThresholds
    from eenas.policies.controllers.recording import Recording
    from eenas.policies.controllers.recording_file import read_recording
    from eenas.policies.controllers.replayed import Replayed, replay
    from eenas.policies.controllers.simulation import Simulation, simulate_stream
    from eenas.policies.controllers.splitee import SplitEE
    from eenas.policies.controllers.stream import Stream

_HOMES = {
    "AdaEE": "adaee",
    "BanditKind": "bandit",
    "ControlledExits": "controlled_exits",
    "Controller": "controller",
    "ControllerKind": "controller_kind",
    "DriftGuard": "drift_guard",
    "Feedback": "controller",
    "FixedThresholds": "fixed",
    "Recording": "recording",
    "Replayed": "replayed",
    "Simulation": "simulation",
    "SplitEE": "splitee",
    "Stream": "stream",
    "read_recording": "recording_file",
    "replay": "replayed",
    "simulate_stream": "simulation",
}
__all__ = [
    "AdaEE",
    "BanditKind",
    "ControlledExits",
    "Controller",
    "ControllerKind",
    "DriftGuard",
    "Feedback",
    "FixedThresholds",
    "Recording",
    "Replayed",
    "Simulation",
    "SplitEE",
    "Stream",
    "read_recording",
    "replay",
    "simulate_stream",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
