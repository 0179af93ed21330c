"""Attention in ONNX, with as many dimensions as a network has."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.programs.chain_models import export_module
from eenas.programs.onnx_program import _attention


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": True}, {"bias": True}])
def test_attention_taken_apart_is_attention(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    given = dict(options)
    if given.pop("mask", False):
        given["attn_mask"] = torch.ones(5, 5, dtype=torch.bool).triu()
    if given.pop("bias", False):
        given["attn_mask"] = torch.randn(5, 5)
    expected = functional.scaled_dot_product_attention(q, k, v, **given)  # type: ignore[arg-type]
    assert torch.allclose(_attention(q, k, v, **given), expected, atol=1e-6)  # type: ignore[arg-type]


def test_shared_keys() -> None:
    q, k = torch.randn(2, 4, 5, 4), torch.randn(2, 2, 5, 4)
    expected = functional.scaled_dot_product_attention(q, k, k, enable_gqa=True)
    assert torch.allclose(_attention(q, k, k, enable_gqa=True), expected, atol=1e-6)


class Windows(nn.Module):
    """Attention within windows: queries [N, windows, heads, L, D]."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.reshape(x.shape[0], 2, 1, 4, 8)).chunk(3, dim=-1)
        return functional.scaled_dot_product_attention(q, k, v).flatten(1)


class Masked(Windows):
    """Attention with a bias for each pair of tokens, its heads put together again."""

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.joined = nn.Parameter(torch.randn(1, 2, 8, 8)), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        q, k, v = self.qkv(x).reshape(n, 8, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        made = functional.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)
        return self.joined(made.transpose(1, 2).reshape(n, 8, 8)).flatten(1)


@pytest.mark.parametrize("kind", [Windows, Masked])
def test_it_goes_through_onnx(kind: type[nn.Module]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    module, x = kind().eval(), torch.randn(2, 8, 8)
    model = export_module(module, x, exit_="")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    more = torch.randn(5, 8, 8)
    (found,) = session.run(None, {"x": more.numpy()})
    assert torch.allclose(torch.from_numpy(found), module(more), atol=1e-5)
