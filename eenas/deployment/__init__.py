"""Deployment: export a network with its programs, verify the export, and refit it on new data."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.deployment.calibration import calibrate
    from eenas.deployment.expert_addition import add_experts
    from eenas.deployment.fitting import fit_thresholds
    from eenas.deployment.network_sources import build
    from eenas.deployment.program_folder import verify
    from eenas.deployment.splitting import split_model

_HOMES = {
    "add_experts": "expert_addition",
    "build": "network_sources",
    "calibrate": "calibration",
    "fit_thresholds": "fitting",
    "split_model": "splitting",
    "verify": "program_folder",
}
__all__ = [
    "add_experts",
    "build",
    "calibrate",
    "fit_thresholds",
    "split_model",
    "verify",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
