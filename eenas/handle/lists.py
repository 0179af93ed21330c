"""Lists of the names of backbones, branches, policies and other parts, in the style of timm."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

Filter: TypeAlias = str | Sequence[str]
"""A pattern such as "resnet*" or "*vit*", or several, of which at least one must match. An empty one is ignored."""


def list_backbones(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the names of backbones: eenas's own, timm's, and torchvision's as `torchvision:NAME`.

    A custom backbone is an `nn.Module`, `package.module:factory` or `./file.py:factory`.
    """
    from eenas.backbones.models.names import backbone_names

    return _chosen(backbone_names(), filter, exclude_filters)


def list_branches(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the structures for `branch.structure` of a search space: families, then published branches."""
    from eenas.branches.registry import structures

    return _chosen(structures(), filter, exclude_filters)


def list_policies(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the kinds for `policy.kind` of a search space."""
    from eenas.policies.kinds.registry import POLICIES

    return _chosen(POLICIES, filter, exclude_filters)


def list_controllers(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the kinds of controllers for `model.adapt` and `eenas simulate --controller`."""
    from eenas.policies.controllers.registry import CONTROLLERS

    return _chosen(CONTROLLERS, filter, exclude_filters)


def list_strategies(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the strategies for `training.strategy` of a search space; `hybrid` is any of `training.hybrid`."""
    from eenas.designs.keys import TRAINING

    return _chosen(TRAINING["strategy"].choices, filter, exclude_filters)


def list_placements(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the kinds for `placement.kind` of a search space."""
    from eenas.designs.keys import PLACEMENT

    return _chosen(PLACEMENT["kind"].choices, filter, exclude_filters)


def list_tasks(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the values of `task.spec` in a study, `--task` and `task=`, apart from a `Task` and custom functions."""
    from eenas.tasks.load import TASKS

    return _chosen(TASKS, filter, exclude_filters)


def list_runtimes(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the runtimes for `latency.runtime` of a study, apart from "auto"."""
    from eenas.study.context.runtimes import RUNTIMES

    return _chosen(RUNTIMES, filter, exclude_filters)


def list_costs(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the kinds for `[costs.NAME]` of a study. `macs` and `latency` are in every study."""
    from eenas.measurement.costs.spec import COSTS

    return _chosen(COSTS, filter, exclude_filters)


def list_distortions(filter: Filter = "", exclude_filters: Filter = "") -> list[str]:
    """Return the kinds of distortion for `[task.distortions]` of a study and `eenas experts --kind`."""
    from eenas.tasks.distortions.distortion import DISTORTIONS

    return _chosen(DISTORTIONS, filter, exclude_filters)


LISTS: Mapping[str, Callable[[Filter], list[str]]] = {
    "backbones": list_backbones,
    "branches": list_branches,
    "placements": list_placements,
    "strategies": list_strategies,
    "policies": list_policies,
    "controllers": list_controllers,
    "tasks": list_tasks,
    "runtimes": list_runtimes,
    "costs": list_costs,
    "distortions": list_distortions,
}
"""The functions by kind, in the order in which a network is built."""


def _chosen(names: Iterable[str], filter: Filter, exclude_filters: Filter) -> list[str]:
    wanted, unwanted = _patterns(filter) or ("*",), _patterns(exclude_filters)
    return [name for name in names if _matches(name, wanted) and not _matches(name, unwanted)]


def _patterns(given: Filter) -> tuple[str, ...]:
    return ((given,) if given else ()) if isinstance(given, str) else tuple(given)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
