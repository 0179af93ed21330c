"""The inputs that a named backbone takes, and a task's held against them."""

from eenas.backbones.models.names import HF, Kind
from eenas.backbones.models.own_models import OWN_MODELS
from eenas.errors import BackboneError, TaskError
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_input import image_input
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import series_input
from eenas.tasks.text.text_input import text_input

_FIXES = {"series": "series_resnet", "text": "text_transformer or hf:NAME_OR_FOLDER", "graphs": "gin, gcn or gat"}


def inputs_at(name: str, size: Size | None) -> InputSpec:
    """The inputs of a backbone of which nobody says more than the size. Raises BackboneError for what is no size."""
    if name in OWN_MODELS and OWN_MODELS[name].inputs.kind == "graphs":
        if size is not None:
            raise BackboneError(f"{name}: takes graphs, which have no input size, got {size}; leave it out")
        return OWN_MODELS[name].inputs
    if name in OWN_MODELS and (own := OWN_MODELS[name].inputs).kind == "series":
        if size is None:
            return own
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise BackboneError(f"{name}: takes series, whose size is their length, got {size}")
        return series_input(own.size("channel") or 1, size)
    if name.startswith(HF) or (name in OWN_MODELS and OWN_MODELS[name].inputs.kind == "text"):
        length_of(name, size)
        return text_input()
    try:
        return image_input(size, 3)
    except TaskError as error:
        raise BackboneError(f"the input size must be positive: {error}") from None


def length_of(name: str, size: Size | None) -> int | None:
    """The length of a reference text, in tokens, that a size stands for. Raises BackboneError for what is no length."""
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise BackboneError(f"{name}: takes texts, whose size is their length in tokens, got {size}")
    return size


def check_kind(name: str, kind: Kind, inputs: InputSpec) -> None:
    """Raise BackboneError where a named backbone is for inputs of another kind than the task's."""
    if kind == "code":
        return
    own = OWN_MODELS[name].inputs.kind if kind == "own" else "text" if kind == "hf" else "images"
    if own != inputs.kind:
        fix = _FIXES.get(inputs.kind, "one of timm, torchvision:NAME or cifar_resnet20")
        raise BackboneError(
            f"{name}: takes {own}, and the task has {inputs}; give {fix}, or a module of your own (./net.py:make)"
        )
