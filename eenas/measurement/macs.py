"""MACs (multiply-accumulates) and parameters of a module, counted by ptflops."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from eenas.backbones.copies import evaluated
from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError
from eenas.measurement.products import Uncounted, formulas


@dataclass(frozen=True)
class Counted:
    """The MACs of one sample, and the names of product operators that are not counted."""

    macs: int
    uncounted: tuple[str, ...] = ()


def count_macs(module: nn.Module, inputs: Tensor | FeatureShape) -> int:
    """Return the MACs of one sample; see `count`."""
    return count(module, inputs).macs


def count(module: nn.Module, inputs: Tensor | FeatureShape) -> Counted:
    """Count the MACs of one sample (1 MAC = 2 FLOPs): convolutions, products and distances, and their biases.

    `inputs` is a batch, whose first sample is used, or the shape of a feature. The module and the random state are
    unchanged: the count uses a copy in eval mode on the device "meta", or on the module's device if the module does not
    run without storage. It then runs on the sample itself, or on zeros without padding for a shape: a layer that drops
    padding would do nothing on a mask of zeros. Raises MeasurementError if the module does not run on such an input.
    """
    sample = _unpadded(inputs) if isinstance(inputs, FeatureShape) else inputs[:1].detach()
    try:
        return _count(module, sample, torch.device("meta"))
    except MeasurementError:
        return _count(module, sample, _device_of(module, sample))


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters. Shared parameters count once; buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def _count(module: nn.Module, sample: Tensor, device: torch.device) -> Counted:
    """Run ptflops on a copy on `device`. Fused products are decomposed into operators that it knows."""
    import ptflops
    from ptflops.aten_ops import ATEN_OPS_MAPPING

    printed = io.StringIO()
    reason = ""
    macs: Any = None
    known = formulas()
    rest = Uncounted([*ATEN_OPS_MAPPING, *known])
    try:
        copied = evaluated(module, device=device)
        given = torch.zeros_like(sample, device=device) if device.type == "meta" else sample.to(device)
        with _taken_apart(), rest, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            macs, _ = ptflops.get_model_complexity_info(
                copied,
                tuple(sample.shape[1:]) or (1,),
                input_constructor=lambda _: given,
                print_per_layer_stat=False,
                as_strings=False,
                backend="aten",
                custom_modules_hooks={
                    **known,
                    torch.ops.aten.mkldnn_rnn_layer: _refuse,
                    torch.ops.aten._cudnn_rnn: _refuse,
                },
            )
    except Exception as error:  # a copy or a user's model can raise anything
        reason = f"{type(error).__name__}: {error}"
    if macs is None:
        lines = [line.strip() for line in printed.getvalue().splitlines() if line.strip()]
        reason = reason or (lines[-1] if lines else "ptflops gave no count")
        raise MeasurementError(
            f"the MACs of {type(module).__name__} could not be counted on an input of {list(sample.shape)}: "
            f"{reason.splitlines()[0]}; check that it accepts a batch of one"
        )
    return Counted(int(macs), rest.names)


@contextlib.contextmanager
def _taken_apart() -> Iterator[None]:
    """Run attention and recurrent layers as plain products inside the block."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    fused = torch._C._get_mkldnn_enabled()  # torch.backends.mkldnn.flags warns about TF32
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
        torch._C._set_mkldnn_enabled(fused)


def _refuse(inputs: Any, outputs: Any) -> int:
    """Refuse a fused recurrent layer, which would count as 0 MACs. Without storage it is not fused."""
    raise MeasurementError("a fused recurrent layer cannot be counted")


def _unpadded(shape: FeatureShape) -> Tensor:
    """Return features of zeros [1, *dims] whose carried mask, if there is one, is 1 everywhere."""
    found = torch.zeros(1, *shape.dims)
    if shape.carried and shape.kind in ("tokens", "series"):
        found.select(1 if shape.kind == "series" else 2, shape.channels).fill_(1.0)
    return found


def _device_of(module: nn.Module, sample: Tensor) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return sample.device
