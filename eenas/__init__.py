"""eenas finds where a neural network may stop early."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "search": "eenas.handle.study",
    "status": "eenas.results.status",
    "simulate": "eenas.handle.simulation",
    "Study": "eenas.handle.study",
    "train": "eenas.runs.full_training",
    "export": "eenas.deployment.export",
    "add_experts": "eenas.deployment.expert_addition",
    "EarlyClassifier": "eenas.handle.early_classifier",
    "ExpertSpec": "eenas.frozen.experts.expert_building",
    "ExpertTraining": "eenas.frozen.experts.expert_training",
    "build": "eenas.deployment.network_sources",
    "explain": "eenas.networks.explanations.explain",
    "fit_in_time": "eenas.frozen.in_time.fit_in_time",
    "fit_thresholds": "eenas.deployment.fitting",
    "verify": "eenas.deployment.program_folder",
    "calibrate": "eenas.deployment.calibration",
    "profile": "eenas.study.context.profiling",
    "open_results": "eenas.results.read",
    "load": "eenas.programs.model_folder",
    "load_experts": "eenas.programs.experts.expert_folder",
    "load_design": "eenas.programs.model_folder",
    "Design": "eenas.designs.design",
    "Task": "eenas.tasks.task",
    "EenasError": "eenas.errors",
    "list_backbones": "eenas.handle.lists",
    "list_branches": "eenas.handle.lists",
    "list_controllers": "eenas.handle.lists",
    "list_costs": "eenas.handle.lists",
    "list_distortions": "eenas.handle.lists",
    "list_placements": "eenas.handle.lists",
    "list_policies": "eenas.handle.lists",
    "list_runtimes": "eenas.handle.lists",
    "list_strategies": "eenas.handle.lists",
    "list_tasks": "eenas.handle.lists",
    "Choice": "eenas.results.choice",
    "Limits": "eenas.study.settings.limits",
}

__all__ = [
    "Choice",
    "Design",
    "EarlyClassifier",
    "EenasError",
    "ExpertSpec",
    "ExpertTraining",
    "Limits",
    "Study",
    "Task",
    "__version__",
    "add_experts",
    "build",
    "calibrate",
    "explain",
    "export",
    "fit_in_time",
    "fit_thresholds",
    "list_backbones",
    "list_branches",
    "list_controllers",
    "list_costs",
    "list_distortions",
    "list_placements",
    "list_policies",
    "list_runtimes",
    "list_strategies",
    "list_tasks",
    "load",
    "load_design",
    "load_experts",
    "open_results",
    "profile",
    "runtime",
    "search",
    "simulate",
    "status",
    "train",
    "verify",
]

if TYPE_CHECKING:
    from eenas import runtime
    from eenas.deployment.calibration import calibrate
    from eenas.deployment.expert_addition import add_experts
    from eenas.deployment.export import export
    from eenas.deployment.fitting import fit_thresholds
    from eenas.deployment.network_sources import build
    from eenas.deployment.program_folder import verify
    from eenas.designs.design import Design
    from eenas.errors import EenasError
    from eenas.frozen.experts.expert_building import ExpertSpec
    from eenas.frozen.experts.expert_training import ExpertTraining
    from eenas.frozen.in_time.fit_in_time import fit_in_time
    from eenas.handle.early_classifier import EarlyClassifier
    from eenas.handle.lists import (
        list_backbones,
        list_branches,
        list_controllers,
        list_costs,
        list_distortions,
        list_placements,
        list_policies,
        list_runtimes,
        list_strategies,
        list_tasks,
    )
    from eenas.handle.simulation import simulate
    from eenas.handle.study import Study, search
    from eenas.networks.explanations.explain import explain
    from eenas.programs.experts.expert_folder import load_experts
    from eenas.programs.model_folder import load, load_design
    from eenas.results.choice import Choice
    from eenas.results.read import open_results
    from eenas.results.status import status
    from eenas.runs.full_training import train
    from eenas.study.context.profiling import profile
    from eenas.study.settings.limits import Limits
    from eenas.tasks.task import Task


def __getattr__(name: str) -> Any:
    """Import a public name at first use, so that `import eenas` stays quick."""
    if name == "runtime":
        return import_module("eenas.runtime")
    if name not in _HOMES:
        raise AttributeError(f"module 'eenas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
