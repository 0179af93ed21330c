"""Reading an exit table from its file."""

from pathlib import Path
from typing import Any

import numpy as np

from eenas.archives import read_arrays
from eenas.bounds import parse_json
from eenas.errors import PolicyError, SpecError
from eenas.policies.costs import KNOWN, CostFacts, Costs, key_of
from eenas.policies.exit_table import CONTEXTS, FACTS, KEYS, OTHERS, ExitTable
from eenas.specs import from_table


def load_exit_table(path: str | Path) -> ExitTable:
    """Return the exit table that `ExitTable.save` wrote, without running code from the file.

    Raises PolicyError if the file is not an exit table.
    """
    try:
        arrays = read_arrays(Path(path), KEYS, (*map(key_of, KNOWN), OTHERS, FACTS, CONTEXTS, "balanced"))
    except SpecError as error:
        raise PolicyError(f"not an exit table: {error}") from None
    try:
        return ExitTable(
            logits=arrays["logits"],
            labels=arrays["labels"],
            exits=tuple(str(name) for name in arrays["exits"].reshape(-1)),
            costs=_costs(arrays),
            balanced=bool(arrays.get("balanced", False)),
            contexts=arrays.get(CONTEXTS),
        )
    except (PolicyError, ValueError, TypeError) as error:
        raise PolicyError(f"{path}: {error}") from None


def _costs(arrays: dict[str, Any]) -> Costs:
    """Return the costs in a file: those of KNOWN by their keys, then the others."""
    known = Costs.of({name: arrays.get(key_of(name)) for name in KNOWN})
    if OTHERS not in arrays:
        return known
    facts = tuple(from_table(CostFacts, each) for each in parse_json(str(arrays[FACTS])))
    others = Costs(facts, arrays[OTHERS])
    return Costs((*known.facts, *others.facts), np.concatenate([known.values, others.values]))
