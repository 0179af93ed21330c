"""Load weights into a module, with notices and errors that name the keys; errors for unreachable published weights."""

import urllib.error
import urllib.request
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from eenas.backbones.weights.unwrapping import first_few
from eenas.backbones.weights.weight_files import find_weights, read_weights
from eenas.backbones.weights.weight_keys import LEFTOVERS, Renamed, renamed
from eenas.errors import WeightsError, plural
from eenas.progress import Listener, Notice, silent

__all__ = ["check_reachable", "find_weights", "load_weights", "no_published_weights", "read_weights", "unreachable"]

PROBE_SECONDS = 5.0

_VARIANCE = "running_var"
_STATISTICS = ("running_mean", _VARIANCE)  # learned buffers


def load_weights(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    classifier: Collection[str],
    source: str,
    listener: Listener = silent,
) -> bool:
    """Load `state` into `module`. Returns whether the classifier was loaded, too.

    Wrapper prefixes are removed, values are cast to the module's dtypes, and tensors that do not belong to the model
    are left out. `classifier` holds the full names of the modules that give the logits. If the file has another number
    of classes, or no classifier (or nothing of the whole head), these keep their values, and False is returned.
    `listener` gets notices with counts and a few names. `source` names the file in messages. Raises WeightsError if any
    other parameter is missing, has another shape, or is in the file but not in the part of the model that it names.
    """
    found = renamed(module, dict(state), source)
    match = _Match(module, found, classifier)
    match.check(source)
    try:
        module.load_state_dict(match.taken, strict=False)
    except Exception as error:  # a module may load its state in its own way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(f"weights {source}: the model refused them ({reason}); give a file of this model") from None
    for text in match.notices():
        listener(Notice(f"weights {source}: {text}"))
    return not match.fresh


class _Match:
    """A file's tensors compared with a module's: those to load, those missing and those left out."""

    def __init__(self, module: nn.Module, found: Renamed, classifier: Collection[str]) -> None:
        self.found, self.given = found, found.state
        self.own = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
        self.parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
        head = {key for key in self.own if any(key.startswith(f"{name}.") for name in classifier)}
        self.fresh = self._other_classes(head) | self._new_head(classifier)
        self.taken = {key: self.given[key] for key in self.own if key in self.given and key not in self.fresh}
        self.missing = [key for key in self.own if key not in self.given and key not in self.fresh]
        parts = {name for name, _ in module.named_children()}
        extra = [key for key in self.given if key not in self.own]
        self.unexpected = [key for key in extra if self._is_structure(key, parts)]
        beside = [found.prefix + key for key in extra if key not in set(self.unexpected)]
        self.left_out = [*beside, *found.beside]

    def check(self, source: str) -> None:
        """Raise WeightsError for a file of another model, or with invalid values."""
        lacking = [key for key in self.missing if self._is_learned(key)]
        shapes, kinds = [], []
        for key, value in self.taken.items():
            if self.own[key].shape != value.shape:
                shapes.append(f"{key} {list(value.shape)} for {list(self.own[key].shape)}")
            elif not _is_plain(value) or (self.own[key].is_floating_point() and not value.is_floating_point()):
                kinds.append(f"{key} {_kind(value)}")
        if not self.taken:
            there, here = first_few(list(self.given)), first_few(list(self.own))
            raise WeightsError(
                f"weights {source} do not fit: they hold {there}, the model {here}; give a file of this model"
            )
        if lacking or self.unexpected or shapes or kinds:
            found = (
                *(("missing", lacking), ("unexpected", self.unexpected)),
                *(("of another shape", shapes), ("of another type", kinds)),
            )
            problems = "; ".join(f"{len(keys)} {kind} ({first_few(keys)})" for kind, keys in found if keys)
            raise WeightsError(f"weights {source} do not fit: {problems}; give a file of this model")
        if broken := [key for key, value in self.taken.items() if not _is_finite(value)]:
            raise WeightsError(
                f"weights {source} must be finite, but hold NaN or infinity ({first_few(broken)}); give another file"
            )
        variances = [key for key in self.taken if key.endswith(_VARIANCE) and bool((self.taken[key] < 0).any())]
        if variances:
            raise WeightsError(
                f"weights {source} hold variances below 0 ({first_few(variances)}); give an undamaged file"
            )

    def notices(self) -> list[str]:
        """Return notices about the loaded file, one sentence each."""
        notices = []
        if self.found.rival is not None:
            notices.append(
                f"loaded the averaged weights below {self.found.prefix!r}, not those below {self.found.rival!r}; "
                "to load the latter, save them alone"
            )
        if self.left_out:
            notices.append(f"left out {len(self.left_out)} that are not in the model ({first_few(self.left_out)})")
        absent = [key for key in self.missing if not key.endswith(".num_batches_tracked")]
        if absent:
            notices.append(f"{len(absent)} were not found and keep their initial values ({first_few(absent)})")
        if cast := sorted({str(value.dtype).removeprefix("torch.") for value in self._cast()}):
            notices.append(f"{', '.join(cast)} was cast to the dtype of the model")
        if self.fresh:
            notices.append(f"{self._classes()}; the classifier starts untrained ({first_few(sorted(self.fresh))})")
        return notices

    def _cast(self) -> list[Tensor]:
        return [
            value
            for key, value in self.taken.items()
            if value.is_floating_point() and value.dtype != self.own[key].dtype
        ]

    def _classes(self) -> str:
        """Describe how the file's classifier differs."""
        there = [key for key in sorted(self.fresh) if key in self.given]
        sizes = [(self.given[key].shape[0], self.own[key].shape[0]) for key in there if self._differs(key)]
        if not sizes:
            return "they hold no classifier for this model"
        return f"they are for {plural(sizes[0][0], 'class', 'classes')}, the model has {sizes[0][1]}"

    def _differs(self, key: str) -> bool:
        return self.own[key].shape != self.given[key].shape

    def _other_classes(self, head: set[str]) -> set[str]:
        """Return the classifier's keys if the file has none, or one that differs only in the number of classes.

        All tensors with a row per class must differ alike; a file with another number in the bias alone is broken.
        """
        there = [key for key in head if key in self.given]
        if not there:
            return head
        differs = [key for key in there if self._differs(key)]
        by_classes = all(
            self.own[key].shape[1:] == self.given[key].shape[1:] and self.own[key].ndim and self.given[key].ndim
            for key in differs
        )
        if not differs or not by_classes or len(there) < len(head):
            return set()
        rows = {self.own[key].shape[0]: self.given[key].shape[0] for key in differs}
        alike = all(
            self.given[key].shape[:1] == (rows.get(side, side),) for key in there for side in self.own[key].shape[:1]
        )
        return head if alike else set()

    def _new_head(self, classifier: Collection[str]) -> set[str]:
        """Return the keys of the module around the classifier if the file has none of them: a new head of layers."""
        parents = {name.rpartition(".")[0] for name in classifier} - {""}
        keys = {key for key in self.own if any(key.startswith(f"{parent}.") for parent in parents)}
        return keys if keys and not any(key in self.given for key in keys) else set()

    def _is_learned(self, key: str) -> bool:
        return key in self.parameters or key.endswith(_STATISTICS)

    def _is_structure(self, key: str, parts: set[str]) -> bool:
        """Whether an unknown key is inside one of the model's own parts, so that the file is of another model."""
        head, _, rest = key.partition(".")
        if not rest or key.endswith(LEFTOVERS) or not self.given[key].is_floating_point():
            return False
        return head in parts or head.isdigit()


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta and not value.is_complex()


def _kind(value: Tensor) -> str:
    """The type of a tensor that is not taken, or how it differs from a plain one of its type."""
    if value.is_meta or value.layout != torch.strided:
        return "without numbers" if value.is_meta else str(value.layout).removeprefix("torch.")
    return str(value.dtype).removeprefix("torch.")


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.float().isfinite().all())


def check_reachable(url: str, label: str) -> None:
    """Raise WeightsError, within about five seconds, if the host of `url` cannot be reached.

    `label` names the backbone in messages.
    """
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # the host answers; the download will tell whether the file exists
    except (OSError, ValueError) as error:
        raise unreachable(label, url, error) from None


def unreachable(label: str, url: str, error: BaseException) -> WeightsError:
    """Return the error for published weights that could not be fetched from `url`."""
    reason = getattr(error, "reason", None) or error
    text = (str(reason).strip().splitlines() or [type(reason).__name__])[0][:200]
    return WeightsError(
        f"{label}: the pretrained weights at {url} could not be reached ({text}); "
        "connect this machine, or pass --weights PATH with a downloaded file, or --weights none"
    )


def no_published_weights(label: str) -> WeightsError:
    """Return the error for a backbone without published weights."""
    return WeightsError(f"{label}: no published weights are known; pass --weights PATH or --weights none")
