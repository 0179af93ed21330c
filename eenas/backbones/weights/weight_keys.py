"""The keys of a file of weights, renamed to a module's own: wrapper prefixes, old spellings, timm's filters."""

import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from eenas.backbones.weights.unwrapping import State, first_few
from eenas.errors import WeightsError
from eenas.faults import raise_shortage

COMPILED = "_orig_mod."
"""The prefix that torch.compile adds to the names of a module, at any level of a network."""

LEFTOVERS = ("total_ops", "total_params")
"""Buffers that profilers add to every module."""

_AVERAGED = re.compile(r"(?<![a-z])ema(?![a-z])|averag")
"""Matches prefixes of weights that are averaged over training."""

_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$")  # the spelling in torchvision's files


@dataclass(frozen=True, kw_only=True, eq=False)
class Renamed:
    """A file's tensors under a module's names: `state` holds those below `prefix`, `beside` the other keys.

    `rival` is another prefix under which the file holds the module just as completely, or None.
    """

    state: State
    prefix: str
    beside: tuple[str, ...] = ()
    rival: str | None = None


def renamed(module: nn.Module, given: State, source: str) -> Renamed:
    """Rename the tensors of a file to the names of `module`, with as many matches as possible.

    `source` names the file in messages. Raises WeightsError if the file holds the module twice, unless exactly one of
    them is averaged.
    """
    own: dict[str, Tensor] = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    if not any(COMPILED in key for key in own):
        given = {key.replace(COMPILED, ""): value for key, value in given.items()}
    found = _below_prefix(given, own, source)
    if all(key in found.state and found.state[key].shape == own[key].shape for key in own):
        return found
    candidates = [found]
    # old spellings and other projects' names are tried below the prefix found and below the wrappers of all keys
    for bare, prefix in ((found.state, found.prefix), _without_shared(given)):
        spelled = {_DENSENET.sub(r"\1\2", key) if key not in own else key: value for key, value in bare.items()}
        converted = _below_prefix(_converted_by_timm(module, spelled), own, source)
        beside = found.beside if prefix == found.prefix else ()
        candidates.append(
            Renamed(state=converted.state, prefix=prefix + converted.prefix, beside=(*beside, *converted.beside))
        )
    return max(candidates, key=lambda each: sum(_fits(each.state, key, value) for key, value in own.items()))


def _fits(state: State, key: str, value: Tensor) -> int:
    """Return 2 for a tensor of the same name and shape, 1 for the same name alone, 0 otherwise."""
    return 0 if key not in state else 1 + (state[key].shape == value.shape)


def _below_prefix(given: State, own: Mapping[str, Tensor], source: str) -> Renamed:
    """Return the tensors below the prefix with the most of the module's own names."""
    hits: Counter[str] = Counter()
    for key in given:
        for end in (0, *(mark.end() for mark in re.finditer(r"\.", key))):
            hits[key[:end]] += key[end:] in own
    most = max(hits.values(), default=0)
    if most == 0:
        bare, prefix = _without_shared(given)
        return Renamed(state=bare, prefix=prefix)
    best = sorted((prefix for prefix, count in hits.items() if count == most), key=len)
    averaged = [prefix for prefix in best if _AVERAGED.search(prefix.lower())]
    prefix, rival = best[0], None
    if 2 * most > len(own) and len(best) > 1:  # the whole module twice, not single names by chance
        if len(averaged) != 1:
            names = [each or "without a prefix" for each in best]
            raise WeightsError(
                f"weights {source}: hold this model {len(best)} times ({first_few(names)}); save one of them alone"
            )
        prefix = averaged[0]
        rival = next(each for each in best if each != prefix)
    return Renamed(
        state={key[len(prefix) :]: value for key, value in given.items() if key.startswith(prefix)},
        prefix=prefix,
        beside=tuple(key for key in given if not key.startswith(prefix)),
        rival=rival,
    )


def _without_shared(given: State) -> tuple[State, str]:
    """Return the tensors without the wrapper prefix that all keys share, and the prefix."""
    prefix = ""
    while given:
        head = next(iter(given)).partition(".")[0] + "."
        if head not in ("module.", "model.", "net.", "network.", "backbone.", "encoder."):
            break
        if not all(key.startswith(head) and len(key) > len(head) for key in given):
            break
        given, prefix = {key[len(head) :]: value for key, value in given.items()}, prefix + head
    return given, prefix


def _converted_by_timm(module: nn.Module, given: State) -> State:
    """Apply timm's own checkpoint filter, which for example resamples position embeddings to another image size."""
    home = type(module).__module__
    convert = getattr(sys.modules.get(home), "checkpoint_filter_fn", None) if home.startswith("timm.") else None
    if convert is None:
        return given
    try:
        converted = convert(dict(given), module)
    except Exception as error:  # the filter expects another kind of checkpoint; the keys stay unchanged
        raise_shortage(error)
        return given
    if not isinstance(converted, Mapping):
        return given
    return {str(key): value for key, value in converted.items() if isinstance(value, Tensor)}
