"""Backbones loaded whole: every kind of name, weights, classes, sizes, cut points and digests."""

import urllib.error
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from eenas import specs
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.backbones.models import timm_models
from eenas.backbones.models.cifar_resnet import CifarResNet
from eenas.backbones.transforms.image_transform import IMAGENET_MEAN, InputTransform
from eenas.errors import BackboneError, CutError, PluginError, SpecError, WeightsError
from eenas.progress import Event, Notice
from eenas.tasks.images.image_input import image_input

FACTORY = '''
"""A user's backbone."""
from torch import nn

def make(num_classes):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))
    net.eenas_transform = {"size": 12, "channels": 3, "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0]}
    return net

def fixed():
    return make(6)

def broken(num_classes):
    raise RuntimeError("no such layer\\nand more of it")

def wrong(num_classes):
    return num_classes
'''


def load(spec: Any, **options: Any) -> tuple[Backbone, list[str]]:
    events: list[Event] = []
    backbone = load_backbone(spec, **{"num_classes": 4, "input_size": 32, **options}, listener=events.append)
    assert all(isinstance(event, Notice) and "\n" not in event.text for event in events)
    return backbone, [event.text for event in events if isinstance(event, Notice)]


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "size", "channels"),
    [
        ("test_resnet", 32, 3),
        ("test_vit", 32, 3),
        ("torchvision:resnet18", 32, 3),
        ("torchvision:googlenet", 32, 3),
        ("cifar_resnet20", 24, 3),
        ("branchynet_lenet", 28, 1),
        ("branchynet_alexnet", 32, 3),
    ],
)
def test_named_backbones(name: str, size: int, channels: int) -> None:
    backbone, notices = load(name, input_size=size)
    images = torch.randint(0, 256, (2, 1, size, size), dtype=torch.uint8)
    backbone.module.train()
    assert backbone.module(backbone.transform(images)).shape == (2, 4)
    assert backbone.example(3).shape == (3, channels, size, size)
    assert torch.equal(backbone.example(), backbone.example())
    assert (backbone.name, backbone.weights, backbone.num_classes) == (name, "none", 4)
    assert backbone.fresh_classifier
    assert notices == [f"{name}: weights none, so it starts untrained (--weights pretrained or PATH loads some)"]
    names = [point.name for point in backbone.all_cut_points]
    assert backbone.cut_points
    assert [point for point in backbone.all_cut_points if point in backbone.cut_points] == list(backbone.cut_points)
    assert set(names) <= set(dict(backbone.module.named_modules()))


def test_sizes_and_statistics_default_to_the_backbones() -> None:
    assert load("cifar_resnet20", input_size=None)[0].transform.size == 32
    assert load("test_vit", input_size=None)[0].transform == InputTransform(160, 3, (0.5,) * 3, (0.5,) * 3)
    assert load("torchvision:squeezenet1_1", input_size=None)[0].transform.size == 224
    assert load("test_resnet")[0].transform.mean == timm.get_pretrained_cfg("test_resnet").mean
    assert load("torchvision:squeezenet1_1")[0].transform.mean == IMAGENET_MEAN


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("test_vit", 7, "timm cannot build it for images of 7 px|does not run"),
        ("torchvision:vit_b_16", 30, "torchvision cannot build it for images of 30 px"),
        ("torchvision:alexnet", 32, r"does not run on an input of shape \[2, 3, 32, 32\]"),
    ],
)
def test_sizes_that_a_backbone_cannot_take(name: str, size: int, reason: str) -> None:
    with pytest.raises(BackboneError, match=reason) as caught:
        load(name, input_size=size)
    assert "task.input_size=224" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("num_classes", 1), ("input_size", 0)])
def test_impossible_requests(option: str, value: int) -> None:
    with pytest.raises(BackboneError, match=f"got {value}"):
        load("cifar_resnet20", **{option: value})


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = CifarResNet(20, 10)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    spec = BackboneSpec("cifar_resnet20", weights="w.safetensors")
    backbone, notices = load(spec, num_classes=10, relative_to=tmp_path)
    assert not backbone.fresh_classifier
    assert notices == []
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in backbone.module.state_dict().items())
    other, notices = load(spec, num_classes=4, relative_to=tmp_path)
    assert other.fresh_classifier
    assert notices == [
        "weights w.safetensors: they are for 10 classes, the model has 4; the classifier starts untrained "
        "(linear.bias, linear.weight)"
    ]
    assert torch.equal(other.module.state_dict()["conv1.weight"], source.conv1.weight)
    with pytest.raises(WeightsError, match=r"missing .*unexpected .*of another shape"):
        load(BackboneSpec("test_resnet", weights=str(tmp_path / "w.safetensors")))


def test_position_embeddings_of_a_file_are_resampled(tmp_path: Path) -> None:
    source = timm.create_model("test_vit", num_classes=4)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pth")
    backbone, notices = load(BackboneSpec("test_vit", weights=str(tmp_path / "w.pth")), input_size=64)
    assert notices == []
    own = backbone.module.state_dict()
    assert own["pos_embed"].shape != source.pos_embed.shape
    assert torch.equal(own["blocks.0.attn.qkv.weight"], source.state_dict()["blocks.0.attn.qkv.weight"])


def test_old_spelling_and_training_heads_of_torchvision_files(tmp_path: Path) -> None:
    dense = torchvision.models.densenet121(num_classes=4)
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in key else key: value
        for key, value in dense.state_dict().items()
    }
    torch.save(old, tmp_path / "dense.pth")
    spec = BackboneSpec("torchvision:densenet121", weights=str(tmp_path / "dense.pth"))
    assert not load(spec)[0].fresh_classifier
    inception = torchvision.models.googlenet(num_classes=4, aux_logits=True, init_weights=False)
    torch.save(inception.state_dict(), tmp_path / "google.pth")
    spec = BackboneSpec("torchvision:googlenet", weights=str(tmp_path / "google.pth"))
    assert not load(spec)[0].fresh_classifier


@pytest.mark.parametrize("name", ["test_resnet", "torchvision:squeezenet1_1"])
def test_pretrained_without_a_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(timm_models, "_cached", lambda config: None)
    with pytest.raises(
        WeightsError, match=rf"^{name}: .* at https://\S+ could not be reached \(no route to host\)"
    ) as caught:
        load(BackboneSpec(name, weights="pretrained"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("classes", "fresh"), [(1000, False), (4, True)])
def test_pretrained_from_the_caches(classes: int, fresh: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = timm.create_model("test_resnet")
    save_file(there.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(timm_models, "_cached", lambda config: str(tmp_path / "model.safetensors"))
    backbone, notices = load(BackboneSpec("test_resnet", weights="pretrained"), num_classes=classes)
    assert backbone.fresh_classifier is fresh
    assert len(notices) == fresh
    assert torch.equal(backbone.module.state_dict()["conv1.0.weight"], there.state_dict()["conv1.0.weight"])

    squeeze = torchvision.models.squeezenet1_1()
    url = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    torch.save(squeeze.state_dict(), tmp_path / "checkpoints" / url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    backbone, notices = load(BackboneSpec("torchvision:squeezenet1_1", weights="pretrained"), num_classes=classes)
    assert backbone.fresh_classifier is fresh
    assert len(notices) == fresh
    assert torch.equal(backbone.module.state_dict()["features.0.weight"], squeeze.features[0].weight)


def test_backbones_without_published_weights(folder: Path) -> None:
    for name in ("cifar_resnet20", "./net.py:make", "test_convnext3"):
        if name == "test_convnext3" and timm.get_pretrained_cfg(name).has_weights:
            continue
        with pytest.raises(WeightsError, match="no published weights are known"):
            load(BackboneSpec(name, weights="pretrained"), trust_code=True, relative_to=folder)


def test_a_factory_of_the_user(folder: Path) -> None:
    with pytest.raises(PluginError, match="trust"):
        load("./net.py:make", relative_to=folder)
    backbone, notices = load("./net.py:make", relative_to=folder, trust_code=True, input_size=None)
    assert backbone.transform == InputTransform(12, 3, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert notices == [
        "./net.py:make: weights none, so it starts as its factory built it (--weights PATH loads a file)"
    ]
    assert load("./net.py:make", relative_to=folder, trust_code=True, input_size=9)[0].transform.size == 9
    backbone, notices = load("./net.py:fixed", relative_to=folder, trust_code=True)
    assert backbone.module[-1].out_features == 4
    assert notices[-1] == "./net.py:fixed: its classifier for 6 classes was replaced by an untrained one for 4"
    for name, message in (("broken", "RuntimeError: no such layer$"), ("wrong", "got a int"), ("nn", "got a module")):
        with pytest.raises(BackboneError, match=message):
            load(f"./net.py:{name}", relative_to=folder, trust_code=True)


def test_a_module_is_used_as_it_is() -> None:
    module = small()
    last = module[4]
    backbone, notices = load(module, num_classes=5)
    assert backbone.module is module
    assert module[4] is last
    assert backbone.weights == "own"
    assert not backbone.fresh_classifier
    assert notices == []
    backbone, notices = load(module, num_classes=3)
    assert backbone.module is module
    assert module[4].out_features == 3
    assert backbone.fresh_classifier
    assert notices == ["module:Sequential: its classifier for 5 classes was replaced by an untrained one for 3"]
    with pytest.raises(BackboneError, match="its input size is unknown"):
        load(module, input_size=None)


def test_channels_of_a_module() -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    assert load(grey, inputs=image_input(32, 3))[0].transform.channels == 1
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 4))
    assert load(flat, inputs=image_input(8, 1))[0].transform.channels == 1
    with pytest.raises(BackboneError, match=r"module:Sequential: does not run on an input of shape \[2, 3, 8, 8\]"):
        load(flat, inputs=image_input(8, 3))


def test_choice_of_cut_points() -> None:
    every = load(BackboneSpec("cifar_resnet20", cut_points="all"))[0]
    assert every.cut_points == every.all_cut_points
    blocks = load("cifar_resnet20")[0]
    assert all(point.block_end for point in blocks.cut_points)
    assert {"layer1.0", "layer2.1"} <= {point.name for point in blocks.cut_points}
    named = load(BackboneSpec("cifar_resnet20", cut_points=("layer2.0", "layer1.1")))[0]
    assert [point.name for point in named.cut_points] == ["layer1.1", "layer2.0"]
    assert [point.name for point in load(BackboneSpec("cifar_resnet20", cut_points="layer1.1"))[0].cut_points] == [
        "layer1.1"
    ]
    with pytest.raises(CutError, match=r"'layer2\.7' is not a cut point; nearest: 'layer2\."):
        load(BackboneSpec("cifar_resnet20", cut_points=("layer1.1", "layer2.7")))
    with pytest.raises(CutError, match="nearest: 'blocks'"):
        load(BackboneSpec("cifar_resnet20", cut_points="block"))


def test_digest_follows_name_size_classes_and_weights() -> None:
    torch.manual_seed(0)
    one = load("cifar_resnet20")[0]
    torch.manual_seed(0)
    two = load("cifar_resnet20")[0]
    assert one.digest == two.digest == replace(one, module=two.module).digest
    torch.manual_seed(0)
    assert load("cifar_resnet20", input_size=24)[0].digest != one.digest
    torch.manual_seed(0)
    assert load("cifar_resnet20", num_classes=5)[0].digest != one.digest
    with torch.no_grad():
        two.module.get_parameter("linear.bias")[0] += 1e-3
    assert one.digest != two.digest


def test_loading_leaves_the_random_state_to_the_initialisation() -> None:
    module = small()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load(module, num_classes=5)
    assert torch.equal(before, torch.get_rng_state())


def test_specification_as_a_table() -> None:
    spec = BackboneSpec("resnet50", weights="pretrained", cut_points=("layer1", "layer2"))
    assert specs.from_table(BackboneSpec, specs.to_table(spec)) == spec
    assert specs.from_table(BackboneSpec, {"name": "resnet50"}) == BackboneSpec("resnet50")
    with pytest.raises(SpecError, match="nearest: 'weights'"):
        specs.from_table(BackboneSpec, {"name": "resnet50", "weigths": "none"})
    with pytest.raises(SpecError, match="must not be empty"):
        BackboneSpec("")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_what_cannot_be_cut_or_trained_is_refused_in_a_line() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    with pytest.raises(BackboneError, match="is TorchScript, which cannot be cut"):
        load(torch.jit.trace(plain.eval(), torch.zeros(1, 3, 8, 8)), input_size=8)
    inside = nn.Sequential(plain[:2], torch.jit.script(plain[2:]))
    with pytest.raises(BackboneError, match="'1' is TorchScript, which cannot be cut"):
        load(inside, input_size=8)
    assert load(torch.compile(plain), input_size=8)[0].module is plain
    with pytest.raises(BackboneError, match=r"parameters must be float32, got torch.float64"):
        load(plain.double(), input_size=8)
