"""The program files of a network: one for each segment, optionally the single file, and their part of the manifest."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from eenas import __version__
from eenas.backbones.copies import copy_of
from eenas.backbones.memory_format import lay_out
from eenas.bounds import shortened_error
from eenas.errors import ExportError, nearest
from eenas.files import write_atomically, write_text
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy
from eenas.programs.exit_segment import SegmentProgram, segment_programs
from eenas.programs.manifest import ProgramFile, checksum
from eenas.programs.onnx_program import OPSET, onnx_model
from eenas.programs.runtime_source import runtime_source
from eenas.specs import to_table

Format = Literal["torch", "onnx", "pt2"]
SINGLE_FILE, RUNTIME = "model.onnx", "runtime.py"
_EXTRA = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs that an export writes beside the network: "onnx" or "pt2", with "onnx" optionally a single file."""

    format: Format
    single_file: bool = False

    def __post_init__(self) -> None:
        """Check the format and the single file."""
        if self.format not in get_args(Format):
            raise ExportError(f"unknown format {self.format!r}; {nearest(str(self.format), get_args(Format))}")
        if self.single_file and self.format != "onnx":
            raise ExportError(f"a single file is an ONNX model, got the format {self.format!r}; use --format onnx")


def write_programs(network: EarlyExitNetwork, wanted: Programs, folder: Path) -> dict[str, Any]:
    """Write the programs of `network` (on the CPU, in eval mode) and the runtime. Returns the "program" table.

    Raises ExportError if the format does not support the backbone, a branch or the policy.
    """
    if wanted.format == "onnx":
        need_onnx()
    if wanted.single_file:
        thresholds_of(network.policy)
    segments, models = [], []
    for number, segment in enumerate(segment_programs(_contiguous(network))):
        path = folder / f"segment_{number}.{wanted.format}"
        if wanted.format == "onnx":
            models.append(model := onnx_model(segment))
            write_onnx(model, path)
        else:
            write_atomically(path, partial(_save_pt2, segment))
        segments.append(
            ProgramFile(
                file=path.name,
                sha256=checksum(path),
                shape=segment.shape,
                takes_previous=segment.module.takes_previous,
                carried=segment.carried,
            )
        )
    table: dict[str, Any] = {
        "kind": wanted.format,
        "versions": program_versions(wanted.format),
        "segments": [to_table(segment) for segment in segments],
    }
    if wanted.single_file:
        from eenas.programs.single_file import single_file

        write_onnx(single_file(models, thresholds_of(network.policy)), folder / SINGLE_FILE)
        single = ProgramFile(file=SINGLE_FILE, sha256=checksum(folder / SINGLE_FILE), shape=segments[0].shape)
        table["single_file"] = to_table(single)
    source = runtime_source()
    write_text(folder / RUNTIME, source)
    return table


def _contiguous(network: EarlyExitNetwork) -> EarlyExitNetwork:
    """Return the network, or a copy with contiguous weights: torch saves other layouts incompletely."""
    if all(each.is_contiguous() for each in (*network.parameters(), *network.buffers())):
        return network
    copied = copy_of(network)
    lay_out(copied, torch.contiguous_format)
    return copied


def thresholds_of(policy: Policy | None) -> ThresholdPolicy:
    """Return the policy of a single file. Raises ExportError unless it is a threshold policy."""
    if not isinstance(policy, ThresholdPolicy):
        kind = "none" if policy is None else repr(policy.kind)
        raise ExportError(f"a single file needs a policy of the kind 'threshold', got {kind}; leave --single-file out")
    return policy


def write_single_file(segments: Sequence[Path], policy: Policy | None, path: Path) -> None:
    """Write the segments' ONNX files, in order, as one model that stops by `policy`. Raises ExportError."""
    import onnx

    from eenas.programs.single_file import single_file

    write_onnx(single_file([onnx.load(segment) for segment in segments], thresholds_of(policy)), path)


def write_onnx(model: Any, path: Path) -> None:
    """Write an ONNX model. Raises ExportError if it is larger than 2 GiB, the limit of one file."""
    try:
        content = model.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf's own kinds
        raise ExportError(
            f"{path}: one ONNX file holds at most 2 GiB ({shortened_error(error)}); use --format pt2"
        ) from None
    write_atomically(path, lambda file: file.write_bytes(content))


def _save_pt2(segment: SegmentProgram, file: Path) -> None:
    with file.open("wb") as stream:
        torch.export.save(segment.program, stream)


def has_onnx() -> bool:
    """Whether networks can be exported to ONNX and run in onnxruntime here."""
    return all(importlib.util.find_spec(name) is not None for name in _EXTRA)


def need_onnx() -> None:
    """Raise ExportError if a library of the extra `onnx` is missing, before the long work starts."""
    for name in _EXTRA:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ExportError(
                f"{name} cannot be imported ({shortened_error(error)}); pip install 'eenas[onnx]'"
            ) from None


def program_versions(kind: str) -> dict[str, Any]:
    """Return the versions of the libraries that write programs of this kind."""
    found: dict[str, Any] = {"eenas": __version__, "torch": torch.__version__}
    if kind == "onnx":
        found |= {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime")}
        found["opset"] = OPSET
    return found
