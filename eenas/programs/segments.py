"""The open programs of the segments, which return logits and the features for the next segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eenas.errors import DeviceError, EenasError, ExportError
from eenas.processes import check_threads
from eenas.programs.json_files import shown
from eenas.programs.manifest import Manifest, ProgramFile

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INPUTS, OUTPUTS = ("x", "previous"), ("features", "logits")
"""The array names of a program. Inputs: x [N, ...], logits of the previous exit. The last segment has only logits."""

THRESHOLDS, ANSWERS = "thresholds", ("classes", "exits", "logits")
"""Array names of the single file: its second input, and its outputs, named as in a `Prediction`."""

Array = NDArray[np.float32]


class Segment(Protocol):
    """An open program: `segment(x, previous) -> (features, logits)`.

    `x` [N, ...] is the input or the features of the previous segment. `previous` [N, classes] holds the logits of the
    previous exit, None for the first. `features` [N, ...] is None for the last segment. `logits` is [N, classes].
    """

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run the program."""


def open_segments(
    manifest: Manifest, *, provider: str = "cpu", threads: int | None = None, trust_code: bool = False
) -> tuple[Segment, ...]:
    """Open the programs of a manifest on the provider "cpu" or "cuda", after a check of their checksums.

    `threads` is the number of threads within an operator (None: one for each core); for .pt2 files it is a setting of
    the whole process, and stays. Raises ExportError if a file is missing or was changed, if a program's arrays differ
    from the manifest, and for .pt2 files, which can contain Python code, without `trust_code`; DeviceError for an
    unavailable provider.
    """
    if manifest.kind == "pt2" and not trust_code:
        raise ExportError(
            f"{manifest.folder}: .pt2 files can contain Python code; pass trust_code=True (--trust-code) to trust them"
        )
    if provider not in PROVIDERS:
        raise DeviceError(f"provider must be {' or '.join(PROVIDERS)}, got {provider!r}")
    if threads is not None:
        check_threads(threads)
    kind = OnnxSegment if manifest.kind == "onnx" else Pt2Segment
    opened: list[Segment] = []
    for number, file in enumerate(manifest.segments):
        path = manifest.path(file)
        try:
            signature = Signature(path, file, manifest.following(number), len(manifest.classes))
            opened.append(kind(signature, provider=provider, threads=threads))
        except EenasError:
            raise
        except Exception as error:  # onnxruntime and torch raise many kinds for a program that they cannot run
            where = f"the segment that ends at exit {manifest.exits[manifest.first_exit + number]!r}"
            raise ExportError(
                f"{path}: {where} does not load here ({error_text(error)}); export again, or update"
            ) from error
    return tuple(opened)


def error_text(error: Exception) -> str:
    """Return the first line of a library's error, shortened, or the type of an error without a message."""
    return shown((str(error).strip().splitlines() or [type(error).__name__])[0], 300)


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a program by the manifest. `following` is the shape of its features (None: the end)."""

    path: Path
    file: ProgramFile
    following: tuple[int, ...] | None
    classes: int

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of one sample of each input, by name."""
        shapes = (tuple(self.file.shape), (self.classes,))
        return dict(zip(INPUTS[: 1 + self.file.takes_previous], shapes, strict=False))

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of one sample of each output, by name, in order."""
        logits: dict[str, tuple[int, ...]] = {OUTPUTS[1]: (self.classes,)}
        return logits if self.following is None else {OUTPUTS[0]: self.following, **logits}

    def check(self, what: str, found: Mapping[str, Sequence[Any]], wanted: Mapping[str, Sequence[int]]) -> None:
        """Raise ExportError unless the arrays `found` [N, ...] match `wanted`. Any side of any length matches."""
        if found.keys() != wanted.keys():
            raise self._mismatch(what, ", ".join(found) or "nothing", ", ".join(wanted))
        for name, sample in wanted.items():
            shape = list(found[name])
            sides = zip(shape[1:], sample, strict=False)
            if len(shape) != 1 + len(sample) or any(
                own and isinstance(side, int) and side != own for side, own in sides
            ):
                raise self._mismatch(what, f"{name} {shape}", f"{name} [N, {', '.join(map(str, sample))}]")

    def check_logits(self, logits: Array, samples: int) -> None:
        """Raise ExportError unless the logits are [samples, classes]."""
        if logits.shape != (samples, self.classes):
            raise self._mismatch("returns", f"logits {list(logits.shape)}", f"logits {[samples, self.classes]}")

    def failed(self, error: Exception) -> ExportError:
        """Return the error for a program that loads but does not run."""
        return ExportError(
            f"{self.path}: does not run here ({error_text(error)}); export again, or use another --format"
        )

    def _mismatch(self, what: str, found: str, wanted: str) -> ExportError:
        there = f"but the manifest says {wanted}; copy the whole folder, or export again"
        return ExportError(f"{self.path}: {what} {shown(found, 200)}, {there}")


class OnnxSegment:
    """An ONNX file in onnxruntime."""

    def __init__(self, signature: Signature, *, provider: str, threads: int | None) -> None:
        session = open_session(signature.path, provider=provider, threads=threads)
        signature.check("takes", {value.name: value.shape for value in session.get_inputs()}, signature.inputs)
        signature.check("returns", {value.name: value.shape for value in session.get_outputs()}, signature.outputs)
        # `session.run` wraps this call and adds microseconds, which matter on small networks. After an error it would
        # also fall back to the CPU and print a message.
        self._run = getattr(session, "_sess", session).run
        self._takes_previous = signature.file.takes_previous
        self._outputs = list(signature.outputs)
        self._signature = signature

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """See `Segment`. Raises ExportError if the program does not run or its logits differ from the manifest."""
        feed = {INPUTS[0]: x, INPUTS[1]: previous} if self._takes_previous else {INPUTS[0]: x}
        try:
            found = self._run(self._outputs, feed, None)
        except Exception as error:  # onnxruntime raises many kinds
            raise self._signature.failed(error) from error
        self._signature.check_logits(found[-1], len(x))
        return (found[0] if len(found) == 2 else None), found[-1]


def open_session(path: Path, *, provider: str = "cpu", threads: int | None = None) -> Any:
    """Open an ONNX file in onnxruntime. Raises DeviceError for an unavailable provider or invalid `threads`."""
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
        raise DeviceError(f"this onnxruntime has no {wanted}; install onnxruntime-gpu, or use the provider cpu")
    options = onnxruntime.SessionOptions()
    # Failures are raised and need no log. Only for a provider that does not start, the log has more detail.
    options.log_severity_level = 4 if provider == "cpu" else 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Planning the memory for each new batch size costs small segments more than it saves.
    options.enable_mem_pattern = False
    # Every segment has its own threads. Those of one segment must not spin while the next one computes.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
    if session.get_providers()[0] != wanted:  # onnxruntime falls back to the CPU and only logs it
        raise DeviceError(f"{wanted} does not start on this machine; see onnxruntime's log, or use the provider cpu")
    return session


class Pt2Segment:
    """A program of torch.export in torch. `threads` is a setting of the whole process, and stays."""

    def __init__(self, signature: Signature, *, provider: str, threads: int | None) -> None:
        try:
            import torch
        except ImportError as error:
            raise ExportError(
                f"torch cannot be imported ({shown(str(error), 200)}); install it, or export with --format onnx"
            ) from None
        if provider == "cuda" and not torch.cuda.is_available():
            raise DeviceError("this torch has no CUDA device; use the provider cpu")
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
        self._lay_out(torch.channels_last)  # as in the network's own `predict`
        x = self._example(program, signature)
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)  # as a segment lays features out
        given = x, np.zeros((2, signature.classes), np.float32) if self._takes_previous else None
        try:
            found = self._run(*given)
        except RuntimeError:  # such as a `view` of a map; the network's own `predict` avoids this format then, too
            self._plain = True
            self._lay_out(torch.contiguous_format)
            found = self._run(*given)
        numbered = zip([*OUTPUTS[: len(found) - 1], OUTPUTS[1]], found, strict=False)
        signature.check("returns", {name: array.shape for name, array in numbered}, signature.outputs)

    @staticmethod
    def _example(program: Any, signature: Signature) -> NDArray[Any]:
        """Return two samples of zeros, or with axes of any length those that the program was exported with."""
        if all(signature.file.shape):
            return np.zeros((2, *signature.file.shape), np.float32)
        given = program.example_inputs
        if given is None:
            raise ValueError("the program carries no example of its input")
        return np.asarray(given[0][0].numpy())

    def _lay_out(self, memory_format: Any) -> None:
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=memory_format)

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """See `Segment`. Raises ExportError if the program does not run."""
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
