"""The chain: a backbone in segments between cut points, for inference that stops and for measuring."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain as joined
from itertools import pairwise

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import BY_HAND, enlarged, first_line, place_like
from eenas.backbones.exported import exported_segments, overwritten
from eenas.backbones.outputs import main_output
from eenas.errors import CutError, nearest


class Chain(nn.Module):
    """Segments that, one after another, are a backbone in eval mode.

    `names` are the cut points in depth order. `segments` has one module more: segment k takes the tensor at cut point
    k - 1 (the first one the input) and gives the tensor at cut point k (the last one the logits), for any batch
    [n, ...]. Parameters and buffers are those of the backbone, not copies: what training or `load_state_dict` writes
    into them holds here at once (after moving either to another device, build the chain anew). It is always in eval
    mode.
    """

    segments: nn.ModuleList

    def __init__(self, names: Sequence[str], segments: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(segments) != len(names) + 1:
            raise CutError(f"a chain of {len(names)} cut points has {len(names) + 1} segments, got {len(segments)}")
        self.names = tuple(names)
        self.segments = nn.ModuleList(segments)
        self.train(False)

    @classmethod
    def built_from(cls, module: nn.Module, example: Tensor, names: Sequence[str]) -> "Chain":
        """Cut `module` behind the modules `names` (in depth order) for inputs like `example` [N, ...].

        The network is exported with `torch.export` and its graph is cut; a (nested) nn.Sequential is cut between its
        parts without that. The result is run and compared with the module. `module` is not changed, nor its mode.
        Raises CutError where a name is no cut point, or saying what stopped the export.
        """
        what = type(module).__name__
        names = tuple(names)
        _check_names(module, names, what)
        own = {id(tensor): tensor for tensor in joined(module.parameters(), module.buffers())}
        with plain_inference(module):
            try:
                # the memo makes the copy keep the very tensors: only modules and their attributes are copied
                shell = copy_of(module, sharing=own)
            except Exception as error:  # a module of the user may refuse
                raise CutError(f"{what} cannot be copied: {first_line(error)}; {BY_HAND}") from error
            shell.eval()
            samples = enlarged(place_like(example, module), 3)
            segments = _split_sequential(shell, names)
            if segments is None:
                segments = exported_segments(shell, samples[:2].clone(), names, what)
            built = cls(names, segments)
            _compare(built, shell, samples, what)
        return built

    def forward(self, x: Tensor) -> Tensor:
        """All segments: logits [n, classes] for [n, ...]."""
        for segment in self.segments:
            x = segment(x)
        return x

    def prefix(self, k: int) -> nn.Sequential:
        """Segments 0 to k as one module: from the input to cut point k, or to the logits for the last k."""
        if not 0 <= k < len(self.segments):
            raise CutError(f"the chain has segments 0 to {len(self.segments) - 1}, got {k}")
        return nn.Sequential(*list(self.segments)[: k + 1])

    def train(self, mode: bool = True) -> "Chain":
        """Stay in eval mode whatever is asked: the segments are those of inference."""
        super().train(False)
        return self


def _check_names(module: nn.Module, names: tuple[str, ...], what: str) -> None:
    """Every name is a module's, and none is there twice."""
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            raise CutError(f"{what} has no module {name!r}; {nearest(name, known)}")
    if len(set(names)) != len(names):
        raise CutError(f"cut points must differ, got {', '.join(names)}")


@contextmanager
def plain_inference(module: nn.Module) -> Iterator[None]:
    """No inference mode, autocast or fused attention that would be written into the graph; gradients as by default."""
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


def _split_sequential(module: nn.Module, names: tuple[str, ...]) -> list[nn.Module] | None:
    """The segments of a (nested) plain nn.Sequential; None where it is none or a name lies inside another module."""
    if type(module) is not nn.Sequential:
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
    return [nn.Sequential(*parts[start:end]) for start, end in pairwise(cuts)]


def _flatten(module: nn.Sequential, prefix: str, parts: list[nn.Module], ends: dict[str, int]) -> None:
    """Collect what a sequence runs, one by one, and after how many of them each name's module has run."""
    for key, part in module._modules.items():
        if part is None:
            continue
        if type(part) is nn.Sequential:
            _flatten(part, f"{prefix}{key}.", parts, ends)
        else:
            parts.append(part)
        ends[prefix + key] = len(parts)


@torch.no_grad()
def _compare(chain: Chain, module: nn.Module, samples: Tensor, what: str) -> None:
    """Refuse a chain that differs from its module, for 3 samples and for 1 (it was exported with 2)."""
    for count in (3, 1):
        try:
            expected = main_output(module(samples[:count].clone()))
            got = _run_checked(chain, samples[:count].clone(), what)
        except CutError:
            raise
        except Exception as error:  # the program may hold a size that only fits what it was exported with
            raise CutError(f"{what} does not run on a batch of {count}: {first_line(error)}; {BY_HAND}") from error
        exact = expected.dtype in (torch.float32, torch.float64) and expected.device.type == "cpu"
        scale = float(expected.double().abs().nan_to_num(0, 0, 0).max())
        same = got.shape == expected.shape and got.dtype == expected.dtype
        if not (same and torch.allclose(got, expected, rtol=0, atol=scale * (1e-4 if exact else 0.05), equal_nan=True)):
            raise CutError(f"{what} cut up gives other logits than as a whole on a batch of {count}; {BY_HAND}")


def _run_checked(chain: Chain, features: Tensor, what: str) -> Tensor:
    """The logits. Raises CutError when a segment overwrites what came through the cut point before it."""
    for k, segment in enumerate(chain.segments):
        version = features._version
        following: Tensor = segment(features)
        if k and features._version != version:
            raise overwritten(chain.names[k - 1], what)
        features = following
    return features
