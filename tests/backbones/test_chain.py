"""The chain against the module that it was cut from: logits, features, shared tensors, and what it refuses."""

import copy
from collections.abc import Callable, Sequence

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.cut_points import find_cut_points
from eenas.backbones.load import load_backbone
from eenas.backbones.models.cifar_resnet import CifarResNet
from eenas.errors import CutError

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5


def some_of(names: Sequence[str]) -> list[str]:
    """An early, a middle and a late one."""
    return list(dict.fromkeys([names[1], names[len(names) // 2], names[-2]]))


def unlike_new(module: nn.Module) -> nn.Module:
    """Statistics of batch norm that are not 0 and 1, so that they count."""
    generator = torch.Generator().manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1, generator=generator)  # type: ignore[union-attr]
            part.running_var.uniform_(0.8, 1.2, generator=generator)  # type: ignore[union-attr]
    return module


@torch.no_grad()
def whole(module: nn.Module, x: Tensor, names: Sequence[str]) -> list[Tensor]:
    """What a copy in eval mode gives at the cut points, and its logits."""
    copied = copy.deepcopy(module).eval()
    parts = dict(copied.named_modules())
    seen: dict[str, Tensor] = {}
    for name in names:
        parts[name].register_forward_hook(lambda part, inputs, output, name=name: seen.__setitem__(name, output))
    logits = copied(x)
    return [*(seen[name] for name in names), logits]


@torch.no_grad()
def assert_same(chain: Chain, module: nn.Module, x: Tensor) -> None:
    features = x
    for segment, expected in zip(chain.segments, whole(module, x, chain.names), strict=True):
        features = segment(features)
        assert features.shape == expected.shape
        assert float((features - expected).abs().max()) <= TOLERANCE
    assert float((chain(x) - features).abs().max()) <= TOLERANCE


def assert_shared(chain: Chain, module: nn.Module) -> None:
    """Every tensor is the module's very own, and none is missing."""
    own = {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
    used = {id(tensor) for tensor in [*chain.parameters(), *chain.buffers()]}
    assert used <= own
    assert all(id(value) in used for name, value in module.named_parameters() if not name.startswith("aux"))


def googlenet() -> nn.Module:
    module: nn.Module = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=True)
    return module


def convolution() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))


class Tangled(nn.Module):
    """A side path around two blocks, a block that runs twice, writes into views, and plain blocks around that."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.before, self.inner, self.twice, self.after = (convolution() for _ in range(4))
        self.side = nn.Conv2d(4, 4, 1)
        self.dropout = nn.Dropout()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(self.stem(x))
        x = self.inner(x) + self.side(x)
        x[:, :, 0] = 1
        x[:, 0].mul_(2)
        x = self.after(self.twice(self.twice(x)))
        logits: Tensor = self.fc(self.dropout(x.mean((2, 3))))
        return logits


@pytest.fixture(scope="module")
def tangled() -> Tangled:
    module = Tangled()
    unlike_new(module)
    return module


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet50": (lambda: timm.create_model("resnet50"), 32),
    "mobilenetv2": (lambda: timm.create_model("mobilenetv2_100"), 32),
    "efficientnet_lite0": (lambda: timm.create_model("efficientnet_lite0"), 32),
    "convnext": (lambda: timm.create_model("convnext_tiny", depths=(2, 1, 2, 1)), 32),
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=32), 32),
    "swin": (lambda: timm.create_model("swin_tiny_patch4_window7_224", img_size=112, depths=(2, 2, 1, 1)), 112),
    "resnet18": (lambda: torchvision.models.resnet18(weights=None), 32),
    "densenet": (lambda: torchvision.models.densenet121(weights=None), 32),
    "googlenet": (googlenet, 64),
    "cifar_resnet20": (lambda: CifarResNet(20), 32),
}


@pytest.mark.parametrize(("build", "size"), NETWORKS.values(), ids=NETWORKS)
def test_networks(build: Callable[[], nn.Module], size: int) -> None:
    module = unlike_new(build())
    example = torch.randn(2, 3, size, size)
    names = some_of([point.name for point in find_cut_points(module, example) if point.block_end])
    chain = Chain.built_from(module, example[:1], names)
    assert module.training
    assert all(part.training for part in module.modules())
    assert chain.names == tuple(names)
    assert_shared(chain, module)
    for batch in (1, 2, 5):
        assert_same(chain, module, torch.randn(batch, 3, size, size))
    assert_same(chain, module, torch.randn(2, 3, size, size).contiguous(memory_format=torch.channels_last))


def test_every_cut_point_at_once(tangled: Tangled) -> None:
    names = [point.name for point in find_cut_points(tangled, torch.randn(2, 3, 12, 12))]
    assert {"stem", "before", "after"} <= set(names)
    assert not {"inner", "side", "twice", "twice.0"} & set(names)
    chain = Chain.built_from(tangled, torch.randn(2, 3, 12, 12), names)
    for batch in (1, 2, 5):
        assert_same(chain, tangled, torch.randn(batch, 3, 12, 12))
    assert_same(chain, tangled, torch.randn(2, 3, 14, 12)[..., :12, :])


def test_no_cut_point_is_the_whole_network(tangled: Tangled) -> None:
    chain = Chain.built_from(tangled, torch.randn(2, 3, 12, 12), ())
    assert len(chain.segments) == 1
    assert_same(chain, tangled, torch.randn(3, 3, 12, 12))


def nested() -> nn.Sequential:
    first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    return nn.Sequential(first, nn.Conv2d(4, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 2))


@pytest.mark.parametrize("build", [nested, lambda: CifarResNet(8)], ids=["sequential", "exported"])
def test_training_and_loading_show_in_the_chain(build: Callable[[], nn.Module]) -> None:
    module = build()
    names = ["0", "2"] if isinstance(module, nn.Sequential) else ["layer1.0", "layer3.0"]
    x = torch.randn(4, 3, 8, 8)
    chain = Chain.built_from(module, x, names)
    before = chain(x).detach()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module.train()
    for _ in range(2):
        module(x).square().sum().backward()
        optimizer.step()
    trained = chain(x).detach()
    assert float((trained - before).abs().max()) > 1e-3
    assert_same(chain, module, x)
    module.load_state_dict(unlike_new(build()).state_dict())
    assert float((chain(x).detach() - trained).abs().max()) > 1e-3
    assert_same(chain, module, x)
    assert_shared(chain, module)


def test_a_sequence_needs_no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("exported")

    monkeypatch.setattr(torch.export, "export", refuse)
    module = nested()
    chain = Chain.built_from(module, torch.randn(2, 3, 8, 8), ["0.1", "2", "4"][1:])
    assert [len(list(segment.children())) for segment in chain.segments] == [5, 2, 1]
    assert_shared(chain, module)
    for batch in (1, 2, 5):
        assert_same(chain, module, torch.randn(batch, 3, 8, 8))


def test_it_stays_in_eval_mode() -> None:
    module = nested()
    chain = Chain.built_from(module, torch.randn(2, 3, 8, 8), ["1"])
    chain.train()
    assert not any(part.training for part in chain.modules())
    assert module.training
    x = torch.randn(3, 3, 8, 8)
    mean = module.get_submodule("0.1").get_buffer("running_mean").clone()
    assert torch.equal(chain(x), chain(x))
    assert torch.equal(module.get_submodule("0.1").get_buffer("running_mean"), mean)


def test_prefixes(tangled: Tangled) -> None:
    x = torch.randn(2, 3, 12, 12)
    chain = Chain.built_from(tangled, x, ["stem", "after"])
    expected = whole(tangled, x, chain.names)
    for k in range(3):
        assert torch.allclose(chain.prefix(k)(x), expected[k], atol=TOLERANCE)
    for k in (-1, 3):
        with pytest.raises(CutError, match="segments 0 to 2"):
            chain.prefix(k)


def test_it_is_built_inside_inference_and_autocast(tangled: Tangled) -> None:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        chain = Chain.built_from(tangled, torch.randn(1, 3, 12, 12), ["before"])
    assert_same(chain, tangled, torch.randn(3, 3, 12, 12))
    with torch.inference_mode():
        assert chain(torch.randn(1, 3, 12, 12)).dtype == torch.float32


def test_attention_and_frozen_weights() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    module = nn.ModuleDict({"encoder": encoder, "fc": nn.Linear(16, 3)})

    class Encoding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = module

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.parts["fc"](self.parts["encoder"](x)[:, 0])
            return logits

    frozen = Encoding().requires_grad_(False)
    names = [point.name for point in find_cut_points(frozen, torch.randn(2, 5, 16)) if point.block_end]
    assert names == ["parts.encoder.layers.0", "parts.encoder.layers.1"]
    assert_same(Chain.built_from(frozen, torch.randn(2, 5, 16), names), frozen, torch.randn(3, 5, 16))


class Pair(nn.Module):
    """Two layers and a classifier; those below do something between them that cannot be exported or cut."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def between(self, x: Tensor, features: Tensor) -> Tensor:
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.b(self.between(x, self.a(x))).relu())
        return logits


class Deciding(Pair):
    def between(self, x: Tensor, features: Tensor) -> Tensor:
        return features if features.mean() > 0 else -features


class Fixed(Pair):
    def between(self, x: Tensor, features: Tensor) -> Tensor:
        return features.view(2, 4)


class Detached(Pair):
    def between(self, x: Tensor, features: Tensor) -> Tensor:
        return features + x.detach()


class Overwriting(Pair):
    def between(self, x: Tensor, features: Tensor) -> Tensor:
        return features.relu_()


@pytest.mark.parametrize(
    ("module", "names", "message"),
    [
        (Pair(), ["c"], "Pair has no module 'c'; "),
        (Pair(), ["a", "a"], "must differ, got a, a"),
        (
            Pair(),
            ["b", "a"],
            "the output of 'a' depends on more than the cut point before it: cut points must be in depth order",
        ),
        (Pair(), ["a", "fc"], "there is no layer between 'output' and the cut point before it"),
        (Deciding(), ["a"], "torch.export cannot trace Deciding: .*; an nn.Sequential of its parts can always be cut"),
        (Fixed(), ["a"], "Fixed"),
        (Detached(), ["a"], "Detached: the output of 'output' depends on more than the cut point before it"),
        (Overwriting(), ["a"], "the output of 'a' is overwritten by the layer after it"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), ["1", "0"], "depth order"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)), ["0"], "'0' is overwritten"),
    ],
)
def test_what_cannot_be_cut_says_why(
    module: nn.Module, names: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CutError, match=message) as caught:
        Chain.built_from(module, torch.randn(2, 4), names)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_block_that_runs_twice_is_refused(tangled: Tangled) -> None:
    with pytest.raises(CutError, match="'twice' runs 2 times; a cut point runs once and gives one tensor"):
        Chain.built_from(tangled, torch.randn(2, 3, 12, 12), ["twice"])


COUNTING = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.block(self.stem(x))
        return self.fc(x.reshape(len(x), -1)) + x.new_zeros(len(x), 1)
"""


def test_a_file_s_network_may_count_its_samples(tmp_path):
    (tmp_path / "net.py").write_text(COUNTING)
    backbone = load_backbone("./net.py:Net", num_classes=4, input_size=8, trust_code=True, relative_to=tmp_path)
    names = [point.name for point in backbone.cut_points]
    assert names == ["stem", "block"]
    assert_same(Chain.built_from(backbone.module, backbone.example(), names), backbone.module, backbone.example(5))
