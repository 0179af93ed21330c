"""The names of a study's costs: what `[costs]` and `[tiers]` define, and what objectives and limits may name."""

from collections.abc import Mapping

from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.costs.spec import CostSpec
from eenas.measurement.tiers.tiers import Tiers
from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import EARLINESS, KNOWN, name_fault
from eenas.study.settings.limits import Limits
from eenas.study.settings.search_spec import ACCURACY, SearchSpec
from eenas.tier_names import BYTES_SENT, PRICE, SPLIT_COSTS, TIER_ENERGY, TIER_LATENCY


def tier_costs(tiers: Tiers | None) -> tuple[str, ...]:
    """Return the names of the costs that tiers add to a study.

    They are the latency and the bytes; the energy if a tier has watts or a link joules; the price if a link has one.
    """
    if tiers is None:
        return ()
    names = [TIER_LATENCY, BYTES_SENT]
    if any(tier.watts for tier in tiers.tiers) or any(link.joules_per_mb for link in tiers.links):
        names.append(TIER_ENERGY)
    return (*names, PRICE) if any(link.price_per_gb for link in tiers.links) else tuple(names)


def check_costs(costs: Mapping[str, CostSpec], tiers: Tiers | None, search: SearchSpec, limits: Limits) -> None:
    """Raise SpecError for invalid names of custom costs, and for objectives and limits on unknown costs."""
    for name in costs:
        fault = "the name is taken" if name in (*KNOWN, *MEASURES) else name_fault(name)
        if name in tier_costs(tiers):
            fault = "[tiers] has a cost of this name"
        if fault is not None:
            raise SpecError(f"costs: a custom cost cannot be called {shortened(name)}: {fault}; rename it")
    named = (*KNOWN, *dict.fromkeys((*costs, EARLINESS)), *tier_costs(tiers))
    known = (ACCURACY, *MEASURES, *named)
    if unknown := [name for name in search.objectives if name not in known]:
        if unknown[0] in SPLIT_COSTS:
            raise SpecError(f"search.objectives: {unknown[0]} {_lacking(unknown[0], tiers)}")
        raise SpecError(
            f"search.objectives: unknown value {shortened(unknown[0])}; {nearest(unknown[0], known)}; define a "
            "custom cost under [costs.NAME]"
        )
    for name in (*limits.expected, *limits.worst):
        if name in SPLIT_COSTS and name not in named:
            raise SpecError(f"constraints: a limit on {name} {_lacking(name, tiers)}")
    try:
        limits.check_costs(named)
    except SpecError as error:
        raise SpecError(f"constraints.{error}") from None


def _lacking(name: str, tiers: Tiers | None) -> str:
    """Return the words for what a study lacks to have a cost of tiers."""
    if tiers is None:
        return "needs the machines and the link; add [tiers.edge], [tiers.edge.link] and [tiers.cloud], or remove it"
    wanted = "watts of a tier or joules_per_mb" if name == TIER_ENERGY else "price_per_gb"
    return f"needs {wanted} of a link in [tiers]; add it, or remove it here"
