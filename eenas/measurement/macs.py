"""Multiply-accumulates and parameters of a module, counted by ptflops."""

import contextlib
import copy
import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError


def count_macs(module: nn.Module, inputs: Tensor | FeatureShape) -> int:
    """The MACs that one sample costs (1 MAC = 2 FLOPs): convolutions, matrix products and their biases.

    `inputs` is a batch whose first sample is taken, or the shape of a feature. Neither the module nor the random state
    is changed: a copy without storage (device "meta") is counted in eval mode, or a copy where the module is, for
    modules that do not run without storage. The program must not depend on the values of its input, which are zero.
    Raises MeasurementError when the module does not run on such an input.
    """
    sample = torch.zeros(1, *inputs.dims) if isinstance(inputs, FeatureShape) else inputs[:1].detach()
    try:
        return _count(module, sample, torch.device("meta"))
    except MeasurementError:
        return _count(module, sample, _device_of(module, sample))


def count_parameters(module: nn.Module) -> int:
    """The number of parameters; one that is shared counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def _count(module: nn.Module, sample: Tensor, device: torch.device) -> int:
    """ptflops on a copy on `device`; fused products are taken apart so that its table of operators knows them."""
    import ptflops

    printed = io.StringIO()
    reason = ""
    macs: Any = None
    try:
        copied = copy.deepcopy(module).to(device).eval()
        zeros = torch.zeros_like(sample, device=device)
        with _taken_apart(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            macs, _ = ptflops.get_model_complexity_info(
                copied,
                tuple(sample.shape[1:]) or (1,),
                input_constructor=lambda _: zeros,
                print_per_layer_stat=False,
                as_strings=False,
                backend="aten",
                custom_modules_hooks={
                    torch.ops.aten.baddbmm: _baddbmm_macs,
                    torch.ops.aten.mkldnn_rnn_layer: _refuse,
                    torch.ops.aten._cudnn_rnn: _refuse,
                },
            )
    except Exception as error:  # a copy or a model of the user may raise anything
        reason = f"{type(error).__name__}: {error}"
    if macs is None:
        lines = [line.strip() for line in printed.getvalue().splitlines() if line.strip()]
        reason = reason or (lines[-1] if lines else "ptflops gave no count")
        raise MeasurementError(
            f"the MACs of {type(module).__name__} could not be counted on an input of {list(sample.shape)}: "
            f"{reason.splitlines()[0]}; check that it takes a batch of one"
        )
    return int(macs)


@contextlib.contextmanager
def _taken_apart() -> Iterator[None]:
    """Attention as the plain products that it consists of; everything is put back afterwards."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


def _baddbmm_macs(inputs: Any, outputs: Any) -> int:
    """`baddbmm(input, a [n, i, j], b [n, j, k])`: n * i * j * k."""
    n, i, j = inputs[1].shape
    return int(n * i * j * inputs[2].shape[-1])


def _refuse(inputs: Any, outputs: Any) -> int:
    """A fused recurrent layer would count as nothing; without storage it is not fused."""
    raise MeasurementError("a recurrent layer can only be counted in a module that runs on the device 'meta'")


def _device_of(module: nn.Module, sample: Tensor) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return sample.device
