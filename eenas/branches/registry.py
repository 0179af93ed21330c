"""The families of branches by name, and branches built from tables or from drawn sizes."""

import dataclasses
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eenas import bounds, specs
from eenas.branches.branch import SIZES, Branch
from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.learned_cell import LearnedCell
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import PRESETS
from eenas.branches.readout import ReadoutBranch
from eenas.branches.tokens.attention_fc import AttentionFc
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.branches.tokens.token_conv import TokenConv
from eenas.errors import BranchError, EenasError
from eenas.escaping import shortened
from eenas.plugins import Registry, class_problem, method_problem

FAMILIES: dict[str, type[Branch]] = {
    Fc.kind: Fc,
    Mlp.kind: Mlp,
    ConvFc.kind: ConvFc,
    ConvStack.kind: ConvStack,
    PoolFc.kind: PoolFc,
    ConvPoolFc.kind: ConvPoolFc,
    Capsule.kind: Capsule,
    PoolerFc.kind: PoolerFc,
    AttentionFc.kind: AttentionFc,
    TokenConv.kind: TokenConv,
    Learned.kind: Learned,
    LearnedCell.kind: LearnedCell,
    ReadoutBranch.kind: ReadoutBranch,
}


def structures() -> tuple[str, ...]:
    """Return all structure names that a search space may use: the families, then the presets."""
    return (*FAMILIES, *PRESETS)


def sizes_of(structure: str) -> tuple[str, ...]:
    """Return the sizes among width, layers and pool that a structure uses; all three for a user's, not yet loaded."""
    if structure in PRESETS:
        return ()
    return FAMILIES[structure].sizes if structure in FAMILIES else SIZES


def family(kind: str, *, trust_code: bool = False, relative_to: Path | None = None) -> type[Branch]:
    """Return the class of a family: one of eenas's own, or a user's by `package.module:Class` or `./file.py:Class`.

    A preset has the class of its family. Once a user's family was loaded with `trust_code`, later calls in the same
    process, also from worker threads, find it without. Raises BranchError for an unknown name or an object that is not
    a family, PluginError for code that is not trusted or does not load.
    """
    if kind == Cascade.kind:
        raise BranchError(
            "a cascade wraps another branch: set that branch as the structure, and network.cascade = true in the space"
        )
    return BRANCHES.find(kind, trust_code=trust_code, relative_to=relative_to)


def branch_from_table(
    table: Mapping[str, Any],
    *,
    file: str = "",
    key: str = "",
    trust_code: bool = False,
    relative_to: Path | None = None,
) -> Branch:
    """Return the branch that `Branch.to_table` wrote. `file` and `key` locate the table in messages.

    A table may also hold the name of a preset as its kind and nothing else: `{"kind": "sdn"}`. Raises BranchError for
    an unknown kind or an invalid value, SpecError for unknown keys and wrong types, PluginError for a user's family
    that is not trusted.
    """
    bounds.check_keys(table, table, file=file, key=key, error=BranchError, kind="a branch")
    where = f"{origin}: " if (origin := bounds.located(file, key)) else ""
    values = dict(table)
    kind = values.pop("kind", None)
    if not isinstance(kind, str):
        raise BranchError(f"{where}kind of a branch must be one of {', '.join(FAMILIES)}, got {shortened(kind)}")
    if kind == Cascade.kind:
        _no_keys_but(("branch",), values, where, "a cascade")
        inside = f"{key}.branch" if key else "branch"
        wrapped = values.get("branch", {})
        found = branch_from_table(wrapped, file=file, key=inside, trust_code=trust_code, relative_to=relative_to)
        return Cascade(branch=found)
    if kind in PRESETS:
        _no_keys_but((), values, where, f"the preset {shortened(kind)}")
        return PRESETS[kind]()
    try:
        cls = family(kind, trust_code=trust_code, relative_to=relative_to)
    except EenasError as error:
        raise type(error)(f"{where}{error}") from None
    return specs.from_table(cls, values, file=file, key=key)


def branch_from_sizes(
    kind: str,
    *,
    width: int,
    layers: int,
    pool: str,
    trust_code: bool = False,
    relative_to: Path | None = None,
) -> Branch:
    """Return a branch of the family `kind` with those of the sizes that it uses, or the preset `kind`."""
    if kind in PRESETS:
        return PRESETS[kind]()
    cls = family(kind, trust_code=trust_code, relative_to=relative_to)
    sizes = {"width": width, "layers": layers, "pool": pool}
    return cls(**{name: sizes[name] for name in cls.sizes})


def _no_keys_but(known: tuple[str, ...], table: Mapping[str, Any], where: str, label: str) -> None:
    for name in table:
        if name not in known:
            keys = ", ".join(("kind", *known))
            raise BranchError(f"{where}{label} has no keys but {keys}, got {shortened(name)}; remove it")


def _accept(kind: str, found: Any) -> type[Branch]:
    """The user's class, which has its reference as the kind from now on."""
    if problem := _problem(found):
        raise BranchError(f"{kind}: {problem}")
    own: type[Branch] = found
    own.kind = kind
    return own


def _problem(found: Any) -> str | None:
    """Describe why an object is not a family of branches; None if it is one."""
    if (problem := class_problem(found, Branch)) is not None:
        return problem
    for field in dataclasses.fields(found):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"every field of {found.__name__} needs a default, {shortened(field.name)} has none"
    if (problem := method_problem(found, "build", "feature_shape", "num_classes")) is not None:
        return problem
    names = [field.name for field in dataclasses.fields(found)]
    if not isinstance(found.sizes, tuple | list) or not all(isinstance(name, str) for name in found.sizes):
        fix = f'; write sizes = ("{found.sizes}",)' if found.sizes in SIZES else ""
        return f"sizes must be a tuple of names of fields among {', '.join(SIZES)}, got {shortened(found.sizes)}{fix}"
    unknown = [name for name in found.sizes if name not in SIZES or name not in names]
    if unknown:
        return f"sizes must be fields among {', '.join(SIZES)}, got {shortened(unknown[0])}"
    return None


BRANCHES: Registry[type[Branch]] = Registry(
    "branch structure",
    ChainMap(FAMILIES, {name: type(make()) for name, make in PRESETS.items()}),
    accept=_accept,
    error=BranchError,
)
"""The families by name, of a preset the one that it is written in."""
