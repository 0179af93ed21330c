"""Files of weights: found, read to tensors without running code of theirs, and freed of what training saved beside."""

import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from eenas.backbones.torch_files import check_legacy, check_zipped
from eenas.errors import WeightsError, nearest
from eenas.escaping import shortened
from eenas.progress import Listener, Notice, silent

State = dict[str, Tensor]

AVERAGED = ("state_dict_ema", "model_ema_state_dict", "ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
PLAIN = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights")
"""The keys under which training loops keep a model, averaged over its steps and as it stands."""

DEPTH = 4  # containers within containers
SHOWN = 3  # keys that a message names of each kind
_UNPACKED = 2  # how much larger than the file its entries may be; torch.save compresses nothing
_LARGEST_PICKLE = 1 << 28  # bytes of the part that is not tensors
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before zip files


def find_weights(text: str, relative_to: Path | None = None) -> Path:
    """The file that `text` names: below `relative_to` where it is there, else in the working folder.

    Raises WeightsError when there is no such file.
    """
    try:
        places = [Path(text).expanduser()]
        if relative_to is not None:
            places.insert(0, relative_to / places[0])
        for place in places:
            if os.path.isfile(place):
                return place
        folder = next((place for place in places if os.path.isdir(place)), None)
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, no such user
        raise WeightsError(
            f"weights {_plain(text)!r}: is no path; give none, pretrained or the path of a file"
        ) from None
    if folder is not None:
        try:
            names = sorted(
                path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".pt", ".pth", ".bin")
            )
        except OSError:  # it may not be looked into
            names = []
        there = f"such as {folder / names[0]}" if names else "of which it holds none"
        raise WeightsError(f"weights {text!r}: is a folder; give the path of a file of weights, {there}")
    hint = nearest(text, ("none", "pretrained")) if not any(mark in text for mark in "./\\") else "check the path"
    raise WeightsError(f"weights {shortened(text)}: no such file; give none, pretrained or the path of a file; {hint}")


def read_weights(path: Path, listener: Listener = silent) -> State:
    """The tensors of a safetensors file or of one that `torch.save` wrote, told apart by what is in them.

    Code in a file never runs: objects beside the tensors (`argparse.Namespace`, settings, numbers of NumPy) are read as
    empty stand-ins. Containers such as `{"state_dict": ...}` are unwrapped; where averaged weights (EMA) stand beside
    the others they are taken, and `listener` hears so. Raises WeightsError for a file that is broken or holds no
    tensors.
    """
    try:
        with path.open("rb") as stream:
            begin = stream.read(1 << 10)
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be read ({error.strerror}); give a readable file") from None
    foreign: tuple[str, ...] = ()
    try:
        if begin[8:9] == b"{":  # behind the length of the header
            from safetensors.torch import load_file

            content: Any = load_file(path)
        elif begin[:4] == b"PK\x03\x04" or begin[:1] == b"\x80":
            content, foreign = _read_torch(path, legacy=begin.startswith(_LEGACY))
        else:
            raise WeightsError(f"it is {_looks_like(begin)}; give a file of model.state_dict()")
    except WeightsError as error:
        raise WeightsError(f"weights {path}: cannot be read as safetensors or as a torch file: {error}") from None
    except Exception as error:  # safetensors, zip and pickle each raise their own kinds
        raise WeightsError(
            f"weights {path}: cannot be read as safetensors or as a torch file: {_reason(error)}; copy it again, "
            "or save model.state_dict()"
        ) from None
    return _Unwrapping(path, foreign, listener).state(content)


def some(keys: list[str]) -> str:
    """The first few of the keys, for a message."""
    shown = ", ".join(_plain(key) for key in keys[:SHOWN])
    return shown + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


class _Unread:
    """Stands for an object whose class is not loaded; whatever the file says of it is dropped."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Take what the class itself might have taken."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Keep nothing of it."""


class _UnreadTable:
    """Makes an empty table that stands for an object whose class is not loaded: the file may put keys into it."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Take what the class itself might have taken."""
        return OrderedDict()


def _read_torch(path: Path, *, legacy: bool) -> tuple[Any, tuple[str, ...]]:
    """What `torch.save` wrote, and the names of the classes in it that were not loaded."""
    foreign: tuple[str, ...] = ()
    if legacy:
        check_legacy(path)
    else:
        _check_zip(path)
        with path.open("rb") as stream:
            foreign = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(stream)))
    for _ in range(64):  # an old file tells the names one by one
        try:
            allowed = torch.serialization.safe_globals([_stand_in(name) for name in foreign])
            with allowed, path.open("rb") as stream:  # a stream, for of a path torch looks at the suffix, too
                return torch.load(stream, map_location="cpu", weights_only=True), foreign
        except pickle.UnpicklingError as error:
            unknown = re.search(r"Unsupported global: GLOBAL ([\w.]+) was not", str(error)) if legacy else None
            name = unknown[1] if unknown is not None else ""
            name = name if "." in name else f"builtins.{name}"  # torch leaves that out
            if unknown is None or name in foreign:
                raise
            foreign = (*foreign, name)
    raise WeightsError(f"it holds objects of more than {len(foreign)} classes; save model.state_dict()")


def _stand_in(name: str) -> Any:
    """What torch's reader puts in the place of a class; NumPy's scalars and types have states that are no tables."""
    return (_Unread if name.startswith("numpy.") else _UnreadTable, name)


def _check_zip(path: Path) -> None:
    """Refuse archives that `torch.save` did not write, or whose content is larger than they are."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename.rpartition("/")[2] for entry in entries]
        if "constants.pkl" in names:
            raise WeightsError("it is a TorchScript program; save model.state_dict()")
        if names.count("data.pkl") != 1:
            raise WeightsError(
                f"it is a zip file without a checkpoint ({some(sorted(set(names)))}); save model.state_dict()"
            )
        whole, content = path.stat().st_size, entries[names.index("data.pkl")]
        if sum(entry.file_size for entry in entries) > _UNPACKED * whole + (1 << 20):
            raise WeightsError("its entries are larger than the file; save model.state_dict()")
        if content.file_size > _LARGEST_PICKLE:
            raise WeightsError("what it holds beside tensors is larger than 256 MiB; save model.state_dict()")
        place = f"{content.filename.removesuffix('data.pkl')}data/"
        held = {entry.filename.removeprefix(place): entry.file_size for entry in entries}
        check_zipped(archive.read(content), held, whole)


class _Unwrapping:
    """Finds the state dict in what a file holds."""

    def __init__(self, path: Path, foreign: tuple[str, ...], listener: Listener) -> None:
        self.path, self.foreign, self.listener = path, foreign, listener

    def state(self, content: Any) -> State:
        """The state dict inside its containers. Raises WeightsError when there is none, or more than one."""
        where: list[str] = []
        for _ in range(DEPTH):
            key = self._container(content)
            if key is None:
                break
            content = content[key]
            where.append(key)
        if not _holds_tensors(content):
            raise WeightsError(
                f"weights {self.path}: not a state dict: {self._found(content)}; save model.state_dict()"
            )
        return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}

    def _container(self, content: Any) -> str | None:
        """The key under which the model stands in a table; averaged weights come first, and are said."""
        if not isinstance(content, Mapping):
            return None
        inside = [key for key, value in content.items() if isinstance(key, str) and _leads_to_tensors(value)]
        averaged = [key for key in AVERAGED if key in inside]
        plain = [key for key in PLAIN if key in inside]
        if averaged:
            if plain:
                self.listener(
                    Notice(
                        f"weights {self.path}: took {averaged[0]}, the weights averaged over training, not {plain[0]}; "
                        "save the one you want alone to choose"
                    )
                )
            return averaged[0]
        if plain:
            return plain[0]
        models = [key for key in inside if not _is_optimizer(content[key])]
        if not models or sum(isinstance(value, Tensor) for value in content.values()) > 1:
            return None
        if len(models) > 1:
            raise WeightsError(
                f"weights {self.path}: holds {len(models)} state dicts ({some(models)}); save the one you want alone"
            )
        return models[0]

    def _found(self, content: Any) -> str:
        """What stands where a model should, in words."""
        if self.foreign:
            return f"it holds Python objects ({some(list(self.foreign))}), whose code eenas never runs"
        if isinstance(content, Mapping):
            return f"it holds {some([str(key) for key in content])}, and no tensors" if content else "it holds nothing"
        return f"it holds a {type(content).__name__}"


def _holds_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and any(isinstance(value, Tensor) for value in content.values())


def _leads_to_tensors(content: Any, depth: int = DEPTH) -> bool:
    if depth == 0 or not isinstance(content, Mapping):
        return False
    return _holds_tensors(content) or any(_leads_to_tensors(value, depth - 1) for value in content.values())


def _is_optimizer(content: Mapping[Any, Any]) -> bool:
    return "param_groups" in content or any(isinstance(key, int) for key in content)


def _looks_like(begin: bytes) -> str:
    """What a file is that is no checkpoint, in words."""
    if not begin:
        return "empty"
    if begin.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS (run `git lfs pull`)"
    if begin.lstrip()[:1] == b"<":
        return "a web page"
    if begin.startswith(b"\x89HDF"):
        return "HDF5, as Keras writes it"
    return "neither"


def _reason(error: BaseException) -> str:
    """Why a file cannot be read, without a library's advice to run what is in it."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is broken, or holds Python objects, whose code eenas never runs"
    if isinstance(error, zipfile.BadZipFile | OSError | SafetensorError):
        return _plain(str(error).strip().partition("\n")[0])
    return f"it is broken ({type(error).__name__})"


def _plain(text: str) -> str:
    """A text of the file's in one line."""
    return "".join(mark if mark.isprintable() else "?" for mark in text[:200])
