"""What modules keep beside tensors is trained, kept and read back like their weights, or refused before that."""

from collections import OrderedDict
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from eenas.backbones.extra_state import check_extra_state, from_text, split_state, to_text
from eenas.backbones.load import load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import BackboneError, SpecError, WeightsError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, read_state, save_weights
from tests.smallest_networks import small_design


class Keeping(nn.Module):
    """A network that keeps a value beside its weights."""

    def __init__(self, value: Any = None) -> None:
        super().__init__()
        self.value = value
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(4, 4)

    def get_extra_state(self) -> Any:
        return self.value

    def set_extra_state(self, state: Any) -> None:
        if state == "poison":
            raise KeyError(state)
        self.value = state

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.block(self.stem(x)).mean((2, 3)))
        return logits


VALUES = [
    {"z": 3, "name": "a", 4: [1.5, None, True], "t": (1, (2, "x")), "empty": {}},
    None,
    "te\0xt",
    [float("inf"), -0.0],
    OrderedDict(a=1),
    torch.tensor([1.0, 2.0]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_it_is_written_and_read_with_the_weights(tmp_path: Any, value: Any) -> None:
    def network(value: Any) -> Any:
        backbone = load_backbone(Keeping(value), num_classes=4, input_size=16)
        placed = (Placed("stem", PoolFc(pool="avg", size=2)),)
        design = small_design(*placed, size=16, backbone=backbone.name)
        return build_network(design, backbone, classes=tuple("abcd"))

    one = network(value)
    save_weights(one, tmp_path / "w.safetensors")
    other = network(torch.zeros(2) if isinstance(value, Tensor) else "other")
    load_weights(other, tmp_path / "w.safetensors")
    found = other.backbone.value
    assert torch.equal(found, value) if isinstance(value, Tensor) else found == value
    tensors, _ = split_state(one.state_dict())
    assert all(
        torch.equal(each, tensors[name])
        for name, each in safetensors.torch.load_file(tmp_path / "w.safetensors").items()
    )
    assert read_state(tmp_path / "w.safetensors", "backbone.fc.").keys() == {"weight", "bias"}


def test_it_is_part_of_what_a_backbone_is() -> None:
    torch.manual_seed(0)
    one, two = Keeping({"bits": 4}), Keeping({"bits": 8})
    two.load_state_dict(one.state_dict())
    two.value = {"bits": 8}
    assert (
        load_backbone(one, num_classes=4, input_size=16).digest
        != load_backbone(two, num_classes=4, input_size=16).digest
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": torch.zeros(1)}, "a Tensor"),
        (object(), "a object"),
        ([{1, 2}], "a set"),
        (b"x", "a bytes"),
    ],
)
def test_what_no_checkpoint_holds_is_refused_before_training(value: Any, kind: str) -> None:
    with pytest.raises(BackboneError, match=rf"^net: '_extra_state' holds .*{kind}.*; get_extra_state must return"):
        check_extra_state(Keeping(value), "net")
    with pytest.raises(BackboneError, match="register tensors as buffers"):
        load_backbone(Keeping(value), num_classes=4, input_size=16)


@pytest.mark.parametrize(
    "text", ["", "[", "3", '{"set": []}', '{"dict": [[1]]}', '{"dict": [[[], 1]]}', '{"dict": 3}', '{"a": 1, "b": 2}']
)
def test_texts_of_something_else(text: str) -> None:
    with pytest.raises(SpecError):
        from_text(text)


def test_files_that_do_not_fit_are_one_line(tmp_path: Any) -> None:
    path, module = tmp_path / "w.safetensors", Keeping("mine")
    backbone = load_backbone(module, num_classes=4, input_size=16)
    network = build_network(small_design(size=16, backbone=backbone.name), backbone)
    save_weights(network, path)
    tensors, key = safetensors.torch.load_file(path), "backbone._extra_state"
    for metadata, message in (
        (None, "missing .'backbone._extra_state'"),
        ({"extra_state": "["}, "not valid JSON"),
        ({"extra_state": to_text({key: "poison"})}, "does not fit the network: 'poison'"),
    ):
        safetensors.torch.save_file(tensors, path, metadata=metadata)
        with pytest.raises(WeightsError, match=message):
            load_weights(network, path)
    safetensors.torch.save_file({**tensors, key: torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"other shape .'backbone._extra_state'"):
        load_weights(network, path)
