"""LSTM and GRU layers in exported graphs."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def whole_recurrence() -> Iterator[None]:
    """Keep LSTM and GRU layers whole; the exporter would write each of their points as a dozen operators.

    ONNX and torch's own programs have these layers. Kernels in Python, which take them apart, are laid aside.
    """
    layers = (torch.ops.aten.lstm.input, torch.ops.aten.gru.input)
    kept = [dict(layer.py_kernels) for layer in layers]
    try:
        for layer in layers:
            layer.py_kernels.clear()
            layer._dispatch_cache.clear()
        yield
    finally:
        for layer, kernels in zip(layers, kept, strict=True):
            layer.py_kernels.update(kernels)
            layer._dispatch_cache.clear()
