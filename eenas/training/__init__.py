"""Training: losses over exits and one training loop."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.training.execution import Execution
    from eenas.training.spec import TrainingSpec
    from eenas.training.steps import TrainingPlan
    from eenas.training.strategies import Phase, phases
    from eenas.training.trainer import TrainingReport, Verdict, train_network

_HOMES = {
    "Execution": "execution",
    "Phase": "strategies",
    "TrainingPlan": "steps",
    "TrainingReport": "trainer",
    "TrainingSpec": "spec",
    "Verdict": "trainer",
    "phases": "strategies",
    "train_network": "trainer",
}
__all__ = [
    "Execution",
    "Phase",
    "TrainingPlan",
    "TrainingReport",
    "TrainingSpec",
    "Verdict",
    "phases",
    "train_network",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
