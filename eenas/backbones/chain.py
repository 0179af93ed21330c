"""The chain: a backbone split into segments at its cut points, for early-exit inference and for measurement."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain as joined
from itertools import pairwise

import torch
from torch import Tensor, nn

from eenas.backbones.carried import CarryingSegment, carrier_of
from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import BY_HAND, first_line, on_device_of, with_batch_size
from eenas.backbones.exported import exported_segments, overwritten_error
from eenas.backbones.models.series.unrolled import joined_steps
from eenas.backbones.outputs import main_output
from eenas.errors import CutError, nearest


class Chain(nn.Module):
    """A backbone in eval mode as a sequence of segments.

    `names` are the cut points in depth order. `segments` has one module more: segment k maps the tensor at cut point
    k - 1 (the input for the first segment) to the tensor at cut point k (the logits for the last), for any batch
    [n, ...]. The chain shares its parameters and buffers with the backbone, so training and `load_state_dict` take
    effect here at once. Build the chain anew after moving either to another device. It is always in eval mode.
    """

    segments: nn.ModuleList

    def __init__(self, names: Sequence[str], segments: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(segments) != len(names) + 1:
            raise CutError(f"a chain of {len(names)} cut points needs {len(names) + 1} segments, got {len(segments)}")
        self.names = tuple(names)
        self.segments = nn.ModuleList(segments)
        self.train(False)

    @classmethod
    def built_from(cls, module: nn.Module, example: Tensor, names: Sequence[str]) -> "Chain":
        """Cut `module` after the modules `names` (in depth order) for inputs like `example` [N, ...].

        The network is exported with `torch.export` and the graph is split. A (nested) nn.Sequential is split between
        its parts without an export. The chain is then run and compared with the module. Neither `module` nor its mode
        changes. Raises CutError if a name is not a cut point, the export fails or the chain gives other logits.
        """
        label = type(module).__name__
        names = tuple(names)
        _check_names(module, names, label)
        own = {id(tensor): tensor for tensor in joined(module.parameters(), module.buffers())}
        with plain_inference(module):
            try:
                # sharing: the copy keeps the original tensors; only modules and their attributes are copied
                shell = copy_of(module, sharing=own)
            except Exception as error:  # a user's module may refuse to be copied
                raise CutError(f"{label} cannot be copied: {first_line(error)}; {BY_HAND}") from error
            shell.eval()
            samples = with_batch_size(on_device_of(example, module), 3)
            segments: Sequence[nn.Module] | None = split_sequential(shell, names)
            if segments is None:
                segments = exported_segments(shell, samples[:2].clone(), names, label)
            built = cls(names, segments)
            _compare(built, shell, samples, label)
            if (carrier := carrier_of(shell)) is not None and carrier.varying:
                shorter = carrier.shorter(samples)
                _compare(built, shell, shorter, label)
                _note_varying(built, samples, shorter)
        return built

    def forward(self, x: Tensor) -> Tensor:
        """Run all segments: logits [n, classes] for an input [n, ...]."""
        for segment in self.segments:
            x = segment(x)
        return x

    def prefix(self, k: int) -> nn.Sequential:
        """Return segments 0 to k as one module: from the input to cut point k, or to the logits for the last k."""
        if not 0 <= k < len(self.segments):
            raise CutError(f"the chain has segments 0 to {len(self.segments) - 1}, got {k}")
        return self.part(0, k + 1)

    def part(self, start: int, end: int) -> nn.Sequential:
        """Return the segments from `start` up to `end`, which is not one of them, as one module.

        It runs as a network without exits between them does: successive steps over time read their blocks at once.
        """
        segments = list(self.segments)[start:end]
        parts = _parts(segments)
        steps = joined_steps(parts)
        return nn.Sequential(*(segments if len(steps) == len(parts) else steps))

    def joins(self, start: int, end: int) -> bool:
        """Whether `part` runs those segments otherwise than one after the other."""
        parts = _parts(list(self.segments)[start:end])
        return len(joined_steps(parts)) < len(parts)

    def train(self, mode: bool = True) -> "Chain":
        """Stay in eval mode, whatever `mode` is: the segments are for inference only."""
        super().train(False)
        return self


def whole_module(module: nn.Module) -> nn.Module:
    """Return a module that runs `module` as its network without exits does; see `Chain.part`. Most are `module`."""
    whole = split_sequential(module, ())
    if whole is None:
        return module
    parts: list[nn.Module] = []
    _flatten(module, "", parts, {})
    return module if len(whole[0]) == len(parts) else whole[0]


def _parts(segments: Sequence[nn.Module]) -> list[nn.Module]:
    return [part for each in segments for part in (each if type(each) is nn.Sequential else [each])]


def _check_names(module: nn.Module, names: tuple[str, ...], label: str) -> None:
    """Raise CutError unless the names are distinct names of modules."""
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            raise CutError(f"{label} has no module {name!r}; {nearest(name, known)}")
    if len(set(names)) != len(names):
        raise CutError(f"cut points must differ, got {', '.join(names)}")


@contextmanager
def plain_inference(module: nn.Module) -> Iterator[None]:
    """Switch off inference mode, autocast and fused attention, which an export would record; enable gradients."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    kinds = {"cpu"} | {parameter.device.type for parameter in module.parameters()} - {"meta"}
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in kinds:
            stack.enter_context(torch.autocast(kind, enabled=False))
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)


def split_sequential(module: nn.Module, names: tuple[str, ...]) -> list[nn.Sequential] | None:
    """Return the segments of a plain (nested) nn.Sequential.

    None if `module` is not one, or a name lies inside a module of another type.
    """
    if not _is_plain(module):
        return None
    parts: list[nn.Module] = []
    ends: dict[str, int] = {}
    _flatten(module, "", parts, ends)
    if any(name not in ends for name in names):
        return None
    cuts = [0, *(ends[name] for name in names), len(parts)]
    for (before, after), name in zip(pairwise(cuts), names, strict=False):
        if after <= before:
            raise CutError(f"cut points must be in depth order with a layer between them, got {name!r} out of {names}")
    return [nn.Sequential(*joined_steps(parts[start:end])) for start, end in pairwise(cuts)]


def _is_plain(module: nn.Module) -> bool:
    """Whether a module only runs its parts in sequence. A hook might change their outputs."""
    return type(module) is nn.Sequential and not module._forward_hooks and not module._forward_pre_hooks


def _flatten(module: nn.Module, prefix: str, parts: list[nn.Module], ends: dict[str, int]) -> None:
    """Append the leaves of a sequence to `parts`, and note in `ends` how many leaves have run after each module."""
    for key, part in module._modules.items():
        if part is None:
            continue
        if _is_plain(part):
            _flatten(part, f"{prefix}{key}.", parts, ends)
        else:
            parts.append(part)
        ends[prefix + key] = len(parts)


@torch.no_grad()
def _compare(chain: Chain, module: nn.Module, samples: Tensor, label: str) -> None:
    """Raise CutError if the chain and the module differ on batches of 3 and 1; the export used 2."""
    for count in (3, 1):
        shape = [count, *samples.shape[1:]]
        try:
            expected = main_output(module(samples[:count].clone()))
            got = _run_checked(chain, samples[:count].clone(), label)
        except CutError:
            raise
        except Exception as error:  # the program may contain a size that fits only the exported batch
            raise CutError(f"{label} does not run on a batch of {shape}: {first_line(error)}; {BY_HAND}") from error
        exact = expected.dtype in (torch.float32, torch.float64) and expected.device.type == "cpu"
        scale = float(expected.double().abs().nan_to_num(0, 0, 0).max())
        same = got.shape == expected.shape and got.dtype == expected.dtype
        if not (same and torch.allclose(got, expected, rtol=0, atol=scale * (1e-4 if exact else 0.05), equal_nan=True)):
            raise CutError(f"{label}: its segments give other logits than the module on a batch of {shape}; {BY_HAND}")


@torch.no_grad()
def _note_varying(chain: Chain, samples: Tensor, shorter: Tensor) -> None:
    """Note in each segment which axes of its input differ between these batches of different lengths."""
    one, other = samples, shorter
    for segment in chain.segments:
        assert isinstance(segment, CarryingSegment)
        segment.varying = tuple(axis for axis in range(1, one.ndim) if one.shape[axis] != other.shape[axis])
        one, other = segment(one), segment(other)


def _run_checked(chain: Chain, features: Tensor, label: str) -> Tensor:
    """Return the logits. Raises CutError if a segment overwrites the tensor of the cut point before it."""
    for k, segment in enumerate(chain.segments):
        version = features._version
        following: Tensor = segment(features)
        if k and features._version != version:
            raise overwritten_error(chain.names[k - 1], label)
        features = following
    return features
