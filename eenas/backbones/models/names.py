"""The names of backbones: the known ones, the kind of a name, and the nearest names to an unknown one."""

import os
import re
from typing import Literal

from eenas.backbones.models.own_models import OWN_MODELS
from eenas.errors import BackboneError, nearest
from eenas.escaping import shortened
from eenas.plugins import is_reference

Kind = Literal["own", "timm", "torchvision", "hf", "code"]
TORCHVISION = "torchvision:"
HF = "hf:"


def read_name(name: str) -> tuple[Kind, str]:
    """Return the kind of a backbone and its name within that kind: ("torchvision", "resnet18").

    Raises BackboneError with the nearest names if there is no such backbone.
    """
    if name in OWN_MODELS:
        return "own", name
    if name.startswith(HF):
        bare = name.removeprefix(HF)
        if not bare:
            raise BackboneError("hf: names no network; give hf:FOLDER or hf:NAME")
        return "hf", bare
    if name.startswith(TORCHVISION):
        bare = name.removeprefix(TORCHVISION)
        if bare not in torchvision_names():
            raise _unknown(name)
        return "torchvision", bare
    if is_reference(name):
        return "code", name
    import timm

    if not timm.is_model(name):
        raise _unknown(name)
    architecture, _, tag = name.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise BackboneError(f"backbone {name!r}: timm has no such weights for {architecture!r}; {nearest(tag, tags)}")
    return "timm", name


def is_code(name: str) -> bool:
    """Whether the name of a backbone names Python code of the user, which runs only if trusted."""
    return is_reference(name) and not name.startswith((TORCHVISION, HF, "module:"))


def torchvision_names() -> tuple[str, ...]:
    """Return the names of torchvision's classification models, without prefix."""
    import torchvision

    return tuple(torchvision.models.list_models(module=torchvision.models))


def backbone_names() -> tuple[str, ...]:
    """Return the names of all backbones: eenas's own, timm's, and torchvision's with their prefix."""
    import timm

    return (*OWN_MODELS, *timm.list_models(), *(TORCHVISION + name for name in torchvision_names()))


def _unknown(name: str) -> BackboneError:
    bare = name.rpartition(":")[2]
    known = backbone_names()
    same = [other for other in (bare, TORCHVISION + bare) if other in known]
    part = bare.casefold()
    # The pattern stands in a command, so it holds nothing that a shell reads.
    within = sum(part in other for other in known) if re.fullmatch(r"[a-z0-9_.-]{2,40}", part) else 0
    if name.endswith(".py"):
        hint = f"name the function in the file, too, such as {shortened(f'{name}:make')}"
    elif os.path.isfile(os.path.join(name, "config.json")):
        hint = f"the folder is {shortened(f'{HF}{name}')}"
    elif same:
        hint = "did you mean " + " or ".join(map(repr, same))
    else:
        hint = nearest(name, known)
    lists = f'`eenas list backbones "*{part}*"` prints {within}' if within else "`eenas list backbones` prints all"
    return BackboneError(
        f"unknown backbone {shortened(name)}; {hint}; {lists}; "
        "others are hf:NAME_OR_FOLDER, package.module:factory and ./file.py:factory"
    )
