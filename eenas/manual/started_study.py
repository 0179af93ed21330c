"""A commented study file for the files of a folder, with the meanings of the keys beside them."""

import shlex
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eenas.escaping import one_line
from eenas.manual.found_files import FoundFiles, FoundTask
from eenas.manual.keys import KeyText, keys
from eenas.manual.type_words import value_words
from eenas.tasks.inputs import Kind


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What a study of one kind of input begins with."""

    backbone: str
    weights: str
    space: str
    prepare: int
    """Epochs of the training of the backbone."""


STARTS: Mapping[Kind, _Start] = {
    "images": _Start(backbone="mobilenetv2_100", weights="pretrained", space="default", prepare=7),
    "series": _Start(backbone="series_resnet", weights="none", space="series", prepare=10),
    "text": _Start(backbone="text_transformer", weights="none", space="text", prepare=12),
    "graphs": _Start(backbone="gin", weights="none", space="graphs", prepare=20),
}
NO_DATA = FoundTask(spec="digits", kind="images", words="the embedded digits, since no data were found")
_WIDTH = 100


def study_text(found: FoundFiles, *, name: str, backbone: str | None = None) -> str:
    """Return the text of a study file called `name` on what was found, with the usual keys, set or as comments.

    The first task, module and weights are used, and the others stand in comments. `backbone` overrides the module.
    Without a task, the first file that could not be read is used, so that a search says what it lacks.
    """
    task, *others = found.tasks or found.unread or (NO_DATA,)
    start = STARTS[task.kind]
    called, weights = _network(found, start, backbone)
    rest = [each for each in found.backbones if each != called]
    unused = [
        f"weights = {value_words(path)}  # {f'of {owner}' if owner else 'set name to the network that has them'}"
        for path, owner in found.weights
        if path != weights
    ]
    trust = " --trust-code" if ".py:" in called else ""
    lines = [
        *_comment(f"A study of {task.words}: eenas search --study {shlex.quote(name)}{trust}"),
        *_comment("`eenas explain KEY` explains a key. Lines that are comments show what else can be set."),
        "",
        *_key("seed", 0),
        *_key("space", start.space),
        "",
        "[task]",
        *_key("task.spec", task.spec, also=[f"spec = {value_words(each.spec)}  # {each.words}" for each in others]),
        *_comment_lines(f"not read: {each}" for each in found.refused),
        *(_key("task.text_column", "text", set_=False) if task.spec.startswith("text:") else []),
        *(_key("task.label_column", "label", set_=False) if task.spec.startswith("text:") else []),
        *(_key("task.input_size", 224, set_=False) if task.kind == "images" else []),
        *(_key("task.flip", False, set_=False) if task.kind == "images" else []),
        *(_key("task.held_out", "auto", set_=False)),
        "",
        "[backbone]",
        *_key("backbone.name", called, also=[f"name = {value_words(each)}" for each in rest]),
        *_key("backbone.weights", weights, also=unused),
        *_key("backbone.cut_points", "blocks", set_=False),
        "",
        "[prepare]",
        *_key("prepare.training.epochs", start.prepare),
        *_key("prepare.learning_rate", 1e-3, set_=False),
        "",
        "[training]",
        *_key("training.epochs", 1),
        "",
        "[full_training]",
        *_key("full_training.epochs", 30),
        "",
        "[latency]",
        *_key("latency.runtime", "auto", set_=False),
        *_key("latency.threads", 1, set_=False),
        "",
        "[search]",
        *_key("search.trials", 16),
        *_key("search.timeout", 3600.0, set_=False),
        *_key("search.objectives", ["accuracy", "macs", "latency"], set_=False),
        "",
        "[constraints]",
        *_key("constraints.max_macs", 0.5, set_=False),
        *_key("constraints.max_latency_ms", 5.0, set_=False),
        *_key("constraints.min_accuracy", 0.9, set_=False),
    ]
    return "\n".join(lines) + "\n"


def _network(found: FoundFiles, start: _Start, backbone: str | None) -> tuple[str, str]:
    """Return the names of the backbone and the weights: those of a file called after it, or after no backbone."""
    if backbone is not None or found.backbones:
        called = backbone or found.backbones[0]
        fitting = [path for path, owner in found.weights if owner in ("", called)]
        own = "pretrained" if called.startswith("hf:") else "none"
        return called, fitting[0] if fitting and not called.startswith("hf:") else own
    named = [(owner, path) for path, owner in found.weights if owner]
    return named[0] if named else (start.backbone, start.weights)


def _meaning(key: str) -> KeyText:
    return next(each for each in keys() if each.file == "study" and each.key == key)


def _key(key: str, value: Any, *, set_: bool = True, also: Iterable[str] = ()) -> list[str]:
    """Return a key with its meaning above it, as a comment if it is not set, and other values of it below.

    A key of a table that is written in its parent's, such as `prepare.training.epochs`, keeps its path there.
    """
    table, _, rest = key.partition(".")
    line = f"{rest or table} = {value_words(value)}"
    return [*_comment(_meaning(key).meaning), line if set_ else f"# {line}", *(f"# {each}" for each in also)]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(one_line(text), _WIDTH)]


def _comment_lines(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _comment(text)]
