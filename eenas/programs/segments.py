"""The programs of the segments, opened: arrays in, features for the next segment and logits out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eenas.errors import DeviceError, EenasError, ExportError
from eenas.programs.json_files import shown
from eenas.programs.manifest import Manifest, ProgramFile
from eenas.threads import check_threads

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INPUTS, OUTPUTS = ("x", "previous"), ("features", "logits")
"""The names in a program: x [N, ...] and the logits of the exit before go in; the last segment gives logits alone."""

THRESHOLDS, ANSWERS = "thresholds", ("classes", "exits", "logits")
"""In the single file: the second input, and the outputs, which are called as in a `Prediction`."""

Array = NDArray[np.float32]


class Segment(Protocol):
    """A program that is open: `segment(x, previous) -> (features, logits)`.

    `x` [N, ...] are inputs or the features of the segment before, `previous` [N, classes] the logits of the exit before
    (None for the first one). `features` [N, ...] is None behind the last segment; `logits` are [N, classes].
    """

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run it."""


def open_segments(
    manifest: Manifest, *, provider: str = "cpu", threads: int | None = None, trust_code: bool = False
) -> tuple[Segment, ...]:
    """The programs of a manifest, checked against their checksums, on the provider "cpu" or "cuda".

    `threads` work within an operator (None: as many as there are cores); of .pt2 files they are set for the process and
    stay so. Raises ExportError for a file that is missing or was changed, for a program that takes or gives other
    arrays than the manifest says, and for .pt2 files, which can hold Python code, without `trust_code`; DeviceError for
    a provider that is not there.
    """
    if manifest.kind == "pt2" and not trust_code:
        raise ExportError(
            f"{manifest.folder}: .pt2 files can hold Python code; pass trust_code=True (--trust-code) if you trust them"
        )
    if provider not in PROVIDERS:
        raise DeviceError(f"a provider is one of {' and '.join(PROVIDERS)}, got {provider!r}")
    if threads is not None:
        check_threads(threads)
    kind = OnnxSegment if manifest.kind == "onnx" else Pt2Segment
    opened: list[Segment] = []
    for number, file in enumerate(manifest.segments):
        path = manifest.path(file)
        try:
            following = manifest.segments[number + 1] if number + 1 < len(manifest.segments) else None
            signature = Signature(path, file, following, len(manifest.classes))
            opened.append(kind(signature, provider=provider, threads=threads))
        except EenasError:
            raise
        except Exception as error:  # onnxruntime and torch raise many kinds for a program that they cannot run
            where = f"the segment that ends at exit {manifest.exits[number]!r}"
            raise ExportError(f"{path}: {where} does not open here ({said(error)}); export again, or update") from error
    return tuple(opened)


def said(error: Exception) -> str:
    """The first line of what a library says, shortened, or the kind of the error where it says nothing."""
    return shown((str(error).strip().splitlines() or [type(error).__name__])[0], 300)


@dataclass(frozen=True)
class Signature:
    """What a program takes and gives by the manifest: `file`, at `path`, is followed by `following` (None: by none)."""

    path: Path
    file: ProgramFile
    following: ProgramFile | None
    classes: int

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of a sample of each input, by its name."""
        shapes = (tuple(self.file.shape), (self.classes,))
        return dict(zip(INPUTS[: 1 + self.file.takes_previous], shapes, strict=False))

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """The same of each output, in order."""
        logits: dict[str, tuple[int, ...]] = {OUTPUTS[1]: (self.classes,)}
        return logits if self.following is None else {OUTPUTS[0]: tuple(self.following.shape), **logits}

    def check(self, what: str, found: Mapping[str, Sequence[Any]], wanted: Mapping[str, Sequence[int]]) -> None:
        """Raise ExportError unless arrays `found` [N, ...] are those `wanted`; a side that is no number is any."""
        if found.keys() != wanted.keys():
            raise self._refused(what, ", ".join(found) or "nothing", ", ".join(wanted))
        for name, sample in wanted.items():
            shape = list(found[name])
            sides = zip(shape[1:], sample, strict=False)
            if len(shape) != 1 + len(sample) or any(isinstance(side, int) and side != own for side, own in sides):
                raise self._refused(what, f"{name} {shape}", f"{name} [N, {', '.join(map(str, sample))}]")

    def check_logits(self, logits: Array, samples: int) -> None:
        """Raise ExportError unless they are [samples, classes]."""
        if logits.shape != (samples, self.classes):
            raise self._refused("gives", f"logits {list(logits.shape)}", f"logits {[samples, self.classes]}")

    def failed(self, error: Exception) -> ExportError:
        """The error for a program that opens and does not run."""
        return ExportError(f"{self.path}: does not run here ({said(error)}); export again, or with another --format")

    def _refused(self, what: str, found: str, wanted: str) -> ExportError:
        there = f"the manifest has {wanted}; copy the whole folder, or export again"
        return ExportError(f"{self.path}: {what} {shown(found, 200)}, {there}")


class OnnxSegment:
    """An ONNX file in onnxruntime."""

    def __init__(self, signature: Signature, *, provider: str, threads: int | None) -> None:
        session = open_session(signature.path, provider=provider, threads=threads)
        signature.check("takes", {value.name: value.shape for value in session.get_inputs()}, signature.inputs)
        signature.check("gives", {value.name: value.shape for value in session.get_outputs()}, signature.outputs)
        # Under `session.run` lies the call that computes. What it adds takes a sample of a small network microseconds,
        # and after an error it would go on with the CPU, printing so.
        self._run = getattr(session, "_sess", session).run
        self._takes_previous = signature.file.takes_previous
        self._outputs = list(signature.outputs)
        self._signature = signature

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """See `Segment`. Raises ExportError where the program does not run, or does not give what it says."""
        feed = {INPUTS[0]: x, INPUTS[1]: previous} if self._takes_previous else {INPUTS[0]: x}
        try:
            found = self._run(self._outputs, feed, None)
        except Exception as error:  # onnxruntime raises many kinds
            raise self._signature.failed(error) from error
        self._signature.check_logits(found[-1], len(x))
        return (found[0] if len(found) == 2 else None), found[-1]


def open_session(path: Path, *, provider: str = "cpu", threads: int | None = None) -> Any:
    """An onnxruntime session of an ONNX file. Raises DeviceError when the provider is not there, or for `threads`."""
    if threads is not None:
        check_threads(threads)
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            f"onnxruntime cannot be imported ({shown(str(error), 200)}); pip install onnxruntime"
        ) from None
    wanted = PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise DeviceError(f"this onnxruntime has no {wanted}; install onnxruntime-gpu, or take the provider cpu")
    options = onnxruntime.SessionOptions()
    # What fails is raised, and need not be printed, too; only for a provider that does not start the log says more.
    options.log_severity_level = 4 if provider == "cpu" else 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Laying out a run's memory beforehand, for every size of a batch anew, costs small segments more than it saves.
    options.enable_mem_pattern = False
    # Every segment has threads of its own: those of the last one must not spin while the next one computes.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
    if session.get_providers()[0] != wanted:  # onnxruntime would go on with the CPU and only log it
        raise DeviceError(f"{wanted} does not start on this machine; see onnxruntime's log, or take the provider cpu")
    return session


class Pt2Segment:
    """A program of torch.export in torch; `threads` are set for the whole process, as torch has them, and stay so."""

    def __init__(self, signature: Signature, *, provider: str, threads: int | None) -> None:
        try:
            import torch
        except ImportError as error:
            raise ExportError(
                f"torch cannot be imported ({shown(str(error), 200)}); .pt2 needs it, or export with --format onnx"
            ) from None
        if provider == "cuda" and not torch.cuda.is_available():
            raise DeviceError("this torch has no CUDA device; take the provider cpu")
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch = torch
        self._device = torch.device(provider)
        program = torch.export.load(signature.path)
        if provider != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, self._device)
        self._module = program.module()
        self._takes_previous = signature.file.takes_previous
        self._last = signature.following is None
        self._signature = signature
        self._plain = False
        self._lay_out(torch.channels_last)  # as the network itself predicts
        x = np.zeros((2, *signature.file.shape), np.float32)
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)  # features as such a segment gives them
        given = x, np.zeros((2, signature.classes), np.float32) if self._takes_previous else None
        try:
            found = self._run(*given)
        except RuntimeError:  # a `view` of a map, say; that network does not predict in this format either
            self._plain = True
            self._lay_out(torch.contiguous_format)
            found = self._run(*given)
        numbered = zip([*OUTPUTS[: len(found) - 1], OUTPUTS[1]], found, strict=False)
        signature.check("gives", {name: array.shape for name, array in numbered}, signature.outputs)

    def _lay_out(self, memory_format: Any) -> None:
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=memory_format)

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """See `Segment`. Raises ExportError where the program does not run."""
        try:
            arrays = self._run(x, previous)
        except Exception as error:  # torch raises many kinds
            raise self._signature.failed(error) from error
        return (None if self._last else arrays[0]), arrays[-1]

    def _run(self, x: Array, previous: Array | None) -> list[Array]:
        x = np.ascontiguousarray(x) if self._plain else x
        given = [x, previous] if self._takes_previous else [x]
        with self._torch.inference_mode():
            found = self._module(*(self._torch.from_numpy(array).to(self._device) for array in given))
        return [tensor.cpu().numpy() for tensor in found]
