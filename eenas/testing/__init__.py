"""Contract tests for authors of plug-ins, and small tasks and backbones for tests."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.testing.backbone_contract import BackboneContract
    from eenas.testing.branch_contract import BranchContract, check_branch
    from eenas.testing.controller_contract import ControllerContract, check_controller
    from eenas.testing.cost_contract import CostContract, check_cost
    from eenas.testing.input_contract import InputContract
    from eenas.testing.placement_contract import PlacementContract, check_chooser, check_learner, check_placement
    from eenas.testing.policy_contract import PolicyContract, check_policy
    from eenas.testing.runtime_contract import RuntimeContract
    from eenas.testing.smallest import smallest_backbone, smallest_task
    from eenas.testing.store_contract import StoreContract, check_store
    from eenas.testing.strategy_contract import StrategyContract, check_phases, check_strategy
    from eenas.testing.task_contract import TaskContract

_HOMES = {
    "BackboneContract": "backbone_contract",
    "BranchContract": "branch_contract",
    "ControllerContract": "controller_contract",
    "CostContract": "cost_contract",
    "InputContract": "input_contract",
    "PlacementContract": "placement_contract",
    "PolicyContract": "policy_contract",
    "RuntimeContract": "runtime_contract",
    "StoreContract": "store_contract",
    "StrategyContract": "strategy_contract",
    "TaskContract": "task_contract",
    "check_branch": "branch_contract",
    "check_chooser": "placement_contract",
    "check_controller": "controller_contract",
    "check_cost": "cost_contract",
    "check_learner": "placement_contract",
    "check_phases": "strategy_contract",
    "check_placement": "placement_contract",
    "check_policy": "policy_contract",
    "check_store": "store_contract",
    "check_strategy": "strategy_contract",
    "smallest_backbone": "smallest",
    "smallest_task": "smallest",
}
__all__ = [
    "BackboneContract",
    "BranchContract",
    "ControllerContract",
    "CostContract",
    "InputContract",
    "PlacementContract",
    "PolicyContract",
    "RuntimeContract",
    "StoreContract",
    "StrategyContract",
    "TaskContract",
    "check_branch",
    "check_chooser",
    "check_controller",
    "check_cost",
    "check_learner",
    "check_phases",
    "check_placement",
    "check_policy",
    "check_store",
    "check_strategy",
    "smallest_backbone",
    "smallest_task",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
