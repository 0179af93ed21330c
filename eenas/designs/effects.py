"""Effects of the keys of a search space: the keys that some draw uses, and contradictions."""

from collections.abc import Iterator, Mapping
from itertools import product

from eenas.designs.domains import Domain, Scalar, Setting
from eenas.designs.keys import NETWORK, POLICY, SECTIONS, TRAINING
from eenas.designs.placement import COSTS
from eenas.designs.training_choice import contradiction_of, unused_keys
from eenas.escaping import shortened
from eenas.policies.rule import may_compare

Settings = Mapping[str, Setting]

_STRATEGIES, _HYBRIDS = TRAINING["strategy"].choices, TRAINING["hybrid"].choices


def values_in(setting: Setting) -> tuple[Scalar, ...]:
    """Return every value of a finite setting, one for a fixed setting, none for ranges without steps."""
    return (setting.values() or ()) if isinstance(setting, Domain) else (setting,)


def used_keys(section: str, settings: Settings, branches: int) -> frozenset[str]:
    """Return the keys of [placement], [network], [training] or [policy] that some draw of these settings uses."""
    if section == "placement":
        kinds = values_in(settings["kind"])
        keys = {"kind"}
        if "metric" in kinds:
            keys |= {"metric"}
            keys |= {"distribution"} if any(metric in COSTS for metric in values_in(settings["metric"])) else set()
        return frozenset(keys | ({"cost_weight", "count"} if "gating" in kinds else set()))
    if section == "network":
        return frozenset(NETWORK if branches > 1 else ())
    if section == "training":
        idle = [frozenset(unused_keys(strategy, hybrid)) for strategy, hybrid in _methods(settings)]
        return frozenset(TRAINING) - frozenset.intersection(*idle)
    kinds = values_in(settings["kind"])
    compared = any(may_compare(str(kind)) for kind in kinds) or "most_confident" in values_in(settings["final_rule"])
    idle_keys = {"per_exit"} if "threshold" not in kinds else set()
    return frozenset(set(POLICY) - idle_keys - (set() if compared else {"score"}))


def contradictions(sections: Mapping[str, Settings], branches: int) -> Iterator[tuple[str, str]]:
    """Yield the contradictions within the settings of a space: the key, then the rule, the value and the fix.

    A fixed value other than the default is meant to have an effect, so some draw must use it. A choice or range that no
    draw uses makes no parameter and is no contradiction.
    """
    for section in ("placement", "network", "training", "policy"):
        settings, keys = sections[section], SECTIONS[section]
        used = used_keys(section, settings, branches)
        for key, setting in settings.items():
            if key not in used and not isinstance(setting, Domain) and setting != keys[key].default:
                yield f"{section}.{key}", f"{_text(setting)} has no effect: {_fix(section, key)}"
    count = min((int(value) for value in values_in(sections["placement"]["count"])), default=0)
    if count > branches:
        yield (
            "placement.count",
            f"{count} branches need as many slots, and the space has {branches}; lower it, or raise branches",
        )
    training = sections["training"]
    if "boosted" in values_in(training["loss_weights"]):
        frozen = training["backbone_rate"] == 0
        lines = [
            contradiction_of(strategy=strategy, hybrid=hybrid, loss_weights="boosted", frozen=frozen)
            for strategy, hybrid in _methods(training)
        ]
        if all(lines):
            yield "training.loss_weights", str(lines[0])


def _methods(training: Settings) -> Iterator[tuple[str, str]]:
    for strategy, hybrid in product(values_in(training["strategy"]), values_in(training["hybrid"])):
        yield str(strategy), str(hybrid)


def _fix(section: str, key: str) -> str:
    """Return the reason why no draw uses a key, and the fix."""
    default = _text(SECTIONS[section][key].default)
    if section == "placement":
        kind = "metric" if key in ("metric", "distribution") else "gating"
        return f"no draw has placement.kind = {shortened(kind)}; allow it, or leave {key} at {default}"
    if section == "network":
        return f"it joins branches and the space has one slot; set branches to 2 or more, or leave {key} at {default}"
    if section == "policy":
        kinds = "'threshold'" if key == "per_exit" else "'threshold' or 'patience_confidence'"
        return f"no draw has policy.kind = {kinds}; allow it, or leave {key} at {default}"
    strategies = [name for name in _STRATEGIES if name != "hybrid" and key not in unused_keys(name, _HYBRIDS[0])]
    hybrids = [name for name in _HYBRIDS if key not in unused_keys("hybrid", name)]
    if key == "hybrid":
        return f"no draw has training.strategy = 'hybrid'; allow it, or leave hybrid at {default}"
    named = " or ".join(repr(name) for name in strategies)
    also = f", or 'hybrid' with {' or '.join(repr(name) for name in hybrids)}" if hybrids else ""
    return f"only training.strategy = {named}{also} uses it; allow one, or leave {key} at {default}"


def _text(value: Setting) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)
