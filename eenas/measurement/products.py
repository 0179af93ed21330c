"""MAC formulas of operators that ptflops lacks, and detection of uncounted operators."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Formula = Callable[[Any, Any], int]

_LOOKS_LIKE_PRODUCTS = re.compile(
    r"linalg|sparse|cholesky|svd|(^|_)lu(_|$)|eig|(^|_)qr(_|$)|triangular_solve|lstsq|inverse|matrix_exp|householder|"
    r"(^|_)(mm|bmm|mv|dot|matmul)(_|$)|conv(olution|_|\d)|(^|_)(rnn|lstm|gru)(_|$)|attention|dist_forward|fft|linear$"
)
_HAVE_NONE = re.compile(r"upsample|interpolate|check_errors")


class Uncounted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the `names` of product operators without a formula that run inside it, in order, without repetition."""

    def __init__(self, counted: Iterable[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counted = frozenset(counted)
        self.names: tuple[str, ...] = ()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Record the operator and run it."""
        packet = func._overloadpacket
        name = str(packet)
        if packet not in self._counted and name not in self.names and _has_products(func.namespace, name):
            self.names += (name,)
        return func(*args, **(kwargs or {}))


def _has_products(namespace: str, name: str) -> bool:
    """Whether an operator is of an unknown library or has the name of a product."""
    if namespace not in ("aten", "prims", "prim"):
        return True
    bare = name.rpartition(".")[2]
    return bool(_LOOKS_LIKE_PRODUCTS.search(bare)) and not _HAVE_NONE.search(bare)


def formulas() -> dict[Any, Formula]:
    """Return the MAC formula of each operator, a function of the positional arguments and the outputs of one call."""
    aten = torch.ops.aten
    found: dict[Any, Formula] = {
        aten.mv: lambda given, made: given[0].numel(),
        aten.dot: lambda given, made: given[0].numel(),
        aten.vdot: lambda given, made: given[0].numel(),
        aten.addmv: lambda given, made: given[1].numel() + made[0].numel(),
        aten.addr: lambda given, made: made[0].numel(),
        aten.baddbmm: lambda given, made: given[1].numel() * given[2].shape[-1],
        aten.addbmm: lambda given, made: given[1].numel() * given[2].shape[-1],
        aten._cdist_forward: lambda given, made: made[0].numel() * given[0].shape[-1],
        aten._euclidean_dist: lambda given, made: made[0].numel() * given[0].shape[-1],
        aten._pdist_forward: lambda given, made: made[0].numel() * given[0].shape[-1],
        aten._trilinear: _trilinear,
        aten._fft_c2c: lambda given, made: _fourier(given[0], given[1]),
        aten._fft_r2c: lambda given, made: _fourier(given[0], given[1]) // 2,
        aten._fft_c2r: lambda given, made: _fourier(made[0], given[1]) // 2,
        aten.grid_sampler_2d: lambda given, made: 4 * made[0].numel(),
        aten.grid_sampler_3d: lambda given, made: 8 * made[0].numel(),
    }
    for name in (
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
        "_scaled_dot_product_fused_attention_overrideable",
    ):
        if hasattr(aten, name):
            found[getattr(aten, name)] = _attention
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        found[torch.ops.torchvision.deform_conv2d] = _deformable
    return found


def _trilinear(given: Any, made: Any) -> int:
    """Count `_trilinear(a, b, c, expand a, expand b, expand c, sums)`: the size of the common shape."""
    shapes = []
    for tensor, expanded in zip(given[:3], given[3:6], strict=True):
        shape = list(tensor.shape)
        for place in sorted(expanded):
            shape.insert(place, 1)
        shapes.append(shape)
    return math.prod(max(sizes) for sizes in zip(*shapes, strict=True))


def _fourier(points: Any, dims: Any) -> int:
    """Count complex transforms over `dims`: 5 n log2 n FLOPs each (Cooley and Tukey 1965), two FLOPs per MAC."""
    length = math.prod(points.shape[dim] for dim in dims)
    return int(2.5 * points.numel() * math.log2(length)) if length > 1 else 0


def _attention(given: Any, made: Any) -> int:
    """Count queries [..., L, E], keys [..., S, E] and values [..., S, V]: L S (E + V) per head."""
    query, key, value = given[:3]
    return int(query.numel() // query.shape[-1] * key.shape[-2] * (query.shape[-1] + value.shape[-1]))


def _deformable(given: Any, made: Any) -> int:
    """Count the convolution and its bias. Sampling at the offsets is not counted."""
    weight, out = given[1], made[0]
    return int(out.numel() * weight[0].numel() + out.numel())
