"""Files of weights: found, and read into a state dict without running code from the file."""

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
from eenas.backbones.weights.unwrapping import State, Unwrapping, first_few, printable
from eenas.errors import WeightsError, nearest
from eenas.escaping import shortened
from eenas.progress import Listener, silent

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""How names of weights files end."""
_UNPACKED = 2  # largest ratio of the entries' size to the file's; torch.save does not compress
_LARGEST_PICKLE = 1 << 28  # bytes of the part without tensors
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first bytes of torch.save files before the zip format


def find_weights(text: str, relative_to: Path | None = None) -> Path:
    """Return the path of the file `text`: in the folder `relative_to` if it exists there, else in the working folder.

    Raises WeightsError if there is no such file.
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
            f"weights {printable(text)!r}: not a path; give none, pretrained or the path of a file"
        ) from None
    if folder is not None:
        try:
            names = sorted(path.name for path in folder.iterdir() if path.suffix in ENDINGS)
        except OSError:  # an unreadable folder
            names = []
        there = f"such as {folder / names[0]}" if names else "which this folder does not contain"
        raise WeightsError(f"weights {text!r}: is a folder; give the path of a weights file, {there}")
    hint = nearest(text, ("none", "pretrained")) if not any(mark in text for mark in "./\\") else "check the path"
    raise WeightsError(f"weights {shortened(text)}: no such file; give none, pretrained or the path of a file; {hint}")


def read_weights(path: Path, listener: Listener = silent) -> State:
    """Return the tensors of a safetensors or `torch.save` file; the format is detected from the content.

    Code in a file never runs: other objects (`argparse.Namespace`, settings, NumPy scalars) are read as empty
    stand-ins. Containers such as `{"state_dict": ...}` are unwrapped. Averaged weights (EMA), also those in a Lightning
    callback, are preferred to plain ones. `listener` gets a notice of that choice, and of averaged weights that cannot
    be used, such as a list without names. Raises WeightsError if the file is broken or holds no tensors.
    """
    try:
        with path.open("rb") as stream:
            begin = stream.read(1 << 10)
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be read ({error.strerror}); give a readable file") from None
    foreign: tuple[str, ...] = ()
    try:
        if begin[8:9] == b"{":  # after the header's length
            from safetensors.torch import load_file

            content: Any = load_file(path)
        elif begin[:4] == b"PK\x03\x04" or begin[:1] == b"\x80":
            content, foreign = _read_torch(path, legacy=begin.startswith(_LEGACY))
        else:
            raise WeightsError(f"it is {_looks_like(begin)}; give a file of model.state_dict()")
    except WeightsError as error:
        raise WeightsError(f"weights {path}: cannot be read as safetensors or as a torch file: {error}") from None
    except Exception as error:  # safetensors, zipfile and pickle raise errors of many types
        raise WeightsError(
            f"weights {path}: cannot be read as safetensors or as a torch file: {_reason(error)}; copy it again, "
            "or save model.state_dict()"
        ) from None
    return Unwrapping(path, foreign, listener).state(content)


class _Unread:
    """Stands for an object whose class is not loaded, and drops its state."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Accept any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Drop the state."""


class _UnreadTable:
    """Creates an empty dict in place of an object whose class is not loaded; the file may add keys to it."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Accept any arguments."""
        return OrderedDict()


def _read_torch(path: Path, *, legacy: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the content of a `torch.save` file, and the names of its classes that were not loaded."""
    foreign: tuple[str, ...] = ()
    if legacy:
        check_legacy(path)
    else:
        check_zip(path)
        with path.open("rb") as stream:
            foreign = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(stream)))
    for _ in range(64):  # a legacy file reveals the names one by one
        try:
            allowed = torch.serialization.safe_globals([_stand_in(name) for name in foreign])
            with allowed, path.open("rb") as stream:  # a stream, since torch interprets the suffix of a path
                return torch.load(stream, map_location="cpu", weights_only=True), foreign
        except pickle.UnpicklingError as error:
            unknown = re.search(r"Unsupported global: GLOBAL ([\w.]+) was not", str(error)) if legacy else None
            name = unknown[1] if unknown is not None else ""
            name = name if "." in name else f"builtins.{name}"  # torch omits this prefix
            if unknown is None or name in foreign:
                raise
            foreign = (*foreign, name)
    raise WeightsError(f"it holds objects of {len(foreign)} classes or more; save model.state_dict()")


def _stand_in(name: str) -> Any:
    """Return the stand-in for a class. NumPy's scalars and dtypes have states that are not dicts."""
    return (_Unread if name.startswith("numpy.") else _UnreadTable, name)


def check_zip(path: Path) -> None:
    """Raise WeightsError for archives that `torch.save` did not write, or that claim more than they hold.

    Errors of zipfile and pickle for a broken archive pass through.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename.rpartition("/")[2] for entry in entries]
        if "constants.pkl" in names:
            raise WeightsError("it is a TorchScript program; save model.state_dict()")
        if names.count("data.pkl") != 1:
            raise WeightsError(
                f"it is a zip file without a checkpoint ({first_few(sorted(set(names)))}); save model.state_dict()"
            )
        whole, content = path.stat().st_size, entries[names.index("data.pkl")]
        if sum(entry.file_size for entry in entries) > _UNPACKED * whole + (1 << 20):
            raise WeightsError("its entries are larger than the file; save model.state_dict()")
        if content.file_size > _LARGEST_PICKLE:
            raise WeightsError("its content beside tensors is larger than 256 MiB; save model.state_dict()")
        place = f"{content.filename.removesuffix('data.pkl')}data/"
        held = {entry.filename.removeprefix(place): entry.file_size for entry in entries}
        check_zipped(archive.read(content), held, whole)


def _looks_like(begin: bytes) -> str:
    """Describe a file that is not a checkpoint."""
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
    """Describe why a file cannot be read, without torch's advice to run the code in it."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is broken, or holds Python objects, whose code eenas never runs"
    if isinstance(error, zipfile.BadZipFile | OSError | SafetensorError):
        return printable(str(error).strip().partition("\n")[0])
    return f"it is broken ({type(error).__name__})"
