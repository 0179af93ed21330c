"""Files of weights: found, read to tensors without running code of theirs, and freed of what training saved beside."""

import os
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from eenas.backbones.torch_files import check_legacy, check_zipped
from eenas.backbones.weights.unwrapping import State, Unwrapping, plain, some
from eenas.errors import WeightsError, nearest
from eenas.escaping import shortened
from eenas.progress import Listener, silent

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
            f"weights {plain(text)!r}: is no path; give none, pretrained or the path of a file"
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
    the others, or in a callback of Lightning's, they are taken, and `listener` hears so, as it does of those that are
    not taken, such as a list without names. Raises WeightsError for a file that is broken or holds no tensors.
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
    return Unwrapping(path, foreign, listener).state(content)


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
        return plain(str(error).strip().partition("\n")[0])
    return f"it is broken ({type(error).__name__})"
