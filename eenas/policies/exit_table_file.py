"""Reading an exit table from its file."""

from pathlib import Path
from typing import Any

import numpy as np

from eenas.archives import read_arrays
from eenas.bounds import parse_json
from eenas.errors import PolicyError, SpecError
from eenas.policies.costs import KNOWN, CostFacts, Costs, key_of
from eenas.policies.exit_table import CONTEXTS, FACTS, KEYS, OTHERS, SPLIT_FACTS, SPLITS, ExitTable
from eenas.policies.experts.routed_table import CHOSEN, EXPERT_NAMES, RoutedTable
from eenas.policies.split_costs import SplitCosts, split_from
from eenas.specs import from_table

_OPTIONAL = (OTHERS, FACTS, SPLITS, SPLIT_FACTS, CONTEXTS, "balanced", CHOSEN, EXPERT_NAMES)


def load_exit_table(path: str | Path) -> ExitTable:
    """Return the exit table that `save` wrote, a RoutedTable if it has experts, without running code from the file.

    Raises PolicyError if the file is not an exit table.
    """
    try:
        arrays = read_arrays(Path(path), KEYS, (*map(key_of, KNOWN), *_OPTIONAL))
    except SpecError as error:
        raise PolicyError(f"not an exit table: {error}") from None
    try:
        values: dict[str, Any] = {
            "logits": arrays["logits"],
            "labels": arrays["labels"],
            "exits": tuple(str(name) for name in arrays["exits"].reshape(-1)),
            "costs": _costs(arrays),
            "balanced": bool(arrays.get("balanced", False)),
            "contexts": arrays.get(CONTEXTS),
        }
        if CHOSEN not in arrays:
            return ExitTable(**values)
        names = arrays.get(EXPERT_NAMES, np.array([], dtype=np.str_)).reshape(-1)
        return RoutedTable(**values, chosen=arrays[CHOSEN], names=tuple(str(name) for name in names))
    except (PolicyError, KeyError, AttributeError, ValueError, TypeError) as error:
        raise PolicyError(f"{path}: {error}") from None


def _costs(arrays: dict[str, Any]) -> Costs:
    """Return the costs in a file: those of KNOWN by their keys, then the others."""
    known = Costs.of({name: arrays.get(key_of(name)) for name in KNOWN})
    splits = _splits(arrays) if SPLITS in arrays else None
    if OTHERS not in arrays:
        return Costs(known.facts, known.values, splits)
    facts = tuple(from_table(CostFacts, each) for each in parse_json(str(arrays[FACTS])))
    others = Costs(facts, arrays[OTHERS])
    return Costs((*known.facts, *others.facts), np.concatenate([known.values, others.values]), splits)


def _splits(arrays: dict[str, Any]) -> SplitCosts:
    """Return the costs in a file that depend on the split."""
    table = parse_json(str(arrays[SPLIT_FACTS]))
    return SplitCosts(
        splits=tuple(split_from(each) or "" for each in table["splits"]),
        names=tuple(map(str, table["names"])),
        values=arrays[SPLITS],
        by=str(table["by"]),
        expected={str(name): float(limit) for name, limit in table["expected"].items()},
        worst={str(name): float(limit) for name, limit in table["worst"].items()},
    )
