"""A static network against the backbone's own prefix, and weights and checkpoints on a full disk."""

import zipfile
from dataclasses import replace

import pytest
import torch
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.load import load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.errors import DesignError, StorageError, WeightsError
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_state, load_weights, save_state, save_weights
from eenas.networks.exit_costs import exit_costs
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.exit_segment import segment_programs
from eenas.testing.smallest import smallest_backbone
from tests.smallest_networks import loaded, small_design
from tests.smallest_texts import text_network


def static(cut_point="1", module=None):
    torch.manual_seed(0)
    backbone = load_backbone(module or smallest_backbone(), num_classes=4, input_size=8)
    branches = (Placed(cut_point=cut_point, branch=PoolFc(pool="avg", size=1)),)
    design = small_design(*branches, static=True)
    return build_network(design, backbone)


def test_it_is_the_prefix_with_a_classifier():
    network = static().eval()
    x = torch.randn(3, 3, 8, 8)
    (logits,) = network(x)
    assert network.exits == ("1",)
    assert torch.equal(logits, network.branches.at("1")(network.backbone[1](network.backbone[0](x))))
    assert torch.equal(network(x, equilibrium=True)[0], logits)


def test_what_lies_behind_is_never_run():
    network = static()
    ran = []
    for index, module in enumerate(network.backbone):
        module.register_forward_pre_hook(lambda module, inputs, index=index: ran.append(index))
    network(torch.randn(2, 3, 8, 8))
    assert ran == [0, 1]
    hooks = [len(module._forward_hooks) for module in network.backbone]
    assert hooks == [0] * 5  # the cut point's own is taken away again


def test_a_network_on_token_ids_is_never_run_on_floats():
    backbone = load_backbone(text_network(), num_classes=4)
    branches = (Placed(cut_point="layers.0", branch=PoolFc(pool="avg", size=1)),)
    design = small_design(*branches, static=True)
    network = build_network(replace(design, inputs=backbone.transform.inputs), backbone)
    named = dict(network.backbone.named_parameters())
    unreached = {name for name, parameter in named.items() if not parameter.requires_grad}
    assert any(name.startswith("layers.1.") for name in unreached)
    assert not any(name.startswith(("embedding.", "layers.0.")) for name in unreached)


def test_prediction_and_an_exported_program_stop_there_too(tmp_path):
    network = static().eval()
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=())
    x = torch.randn(3, 3, 8, 8)
    found = network.predict(x)
    assert torch.equal(found.logits, network(x)[0])
    assert found.exits.tolist() == [0, 0, 0]
    (program,) = segment_programs(network)
    (logits,) = program.program.module()(x)
    assert torch.allclose(logits, found.logits, atol=1e-6)


def test_its_costs_are_those_of_the_prefix_and_its_classifier():
    backbone = loaded()
    chain = Chain.built_from(backbone.module.eval(), backbone.example(), [p.name for p in backbone.cut_points])
    profile = profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)
    network = static()
    placed = network.design.branches[0]
    branch = measure_branch(
        placed.branch, profile.cut_points[profile.index("1")].shape, 4, device=torch.device("cpu"), latency=None
    )
    costs = exit_costs(network.design, profile, [branch])
    assert costs.costs["macs"].tolist() == [profile.macs[profile.index("1")] + branch.macs]
    reached = [p for p in network.parameters() if p.requires_grad]
    assert costs.parameters == sum(parameter.numel() for parameter in reached)


def test_a_static_design_has_one_branch_and_a_digest_of_its_own():
    design = static().design
    assert Design.from_json(design.to_json()) == design
    open_ = replace(design, static=False)
    assert open_.digest != design.digest
    assert open_.architecture_digest != design.architecture_digest
    assert open_.static_at(0) == design
    assert "static" not in open_.to_table()
    with pytest.raises(DesignError, match="ends at its one branch, got 0 branches"):
        replace(design, branches=())


def test_errors_of_the_backbone_are_not_swallowed():
    network = static()
    with pytest.raises(RuntimeError):
        network(torch.randn(2, 5, 8, 8))
    assert not network.backbone[1]._forward_hooks


def test_only_what_is_reached_is_trained_though_the_module_holds_old_gradients():
    module = smallest_backbone()
    module(torch.randn(2, 3, 8, 8)).sum().backward()
    module[0][0].weight.requires_grad_(False)  # frozen by the user, and stays so
    network = static(module=module).train()
    trained = {name.split(".")[1] for name, p in network.backbone.named_parameters(prefix="b") if p.requires_grad}
    assert trained == {"0", "1"}
    assert not network.backbone[0][0].weight.requires_grad
    assert all(parameter.requires_grad for parameter in network.branches.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network.training


def test_weights_travel_and_name_what_does_not_fit(tmp_path):
    one, other = static(), static()
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(1.0)
    save_weights(one, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    with pytest.raises(WeightsError, match=r"does not fit the network: missing \['branches"):
        load_weights(static("3"), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(other, tmp_path / "w.safetensors")


KEYS = ("network", "position")


def state(value, size=10):
    return {**dict.fromkeys(KEYS, 0), "network": {"weight": torch.full((size,), value)}}


def test_a_checkpoint_comes_back_and_a_foreign_file_is_named(tmp_path):
    assert load_state(tmp_path / "c.pt", KEYS) is None
    save_state(state(1.0), tmp_path / "c.pt")
    assert torch.equal(load_state(tmp_path / "c.pt", KEYS)["network"]["weight"], torch.ones(10))
    torch.save({"network": {}}, tmp_path / "other.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "code.pt")
    for name in ("other.pt", "code.pt"):
        with pytest.raises(StorageError, match=r"not an eenas checkpoint.*delete it to start again") as error:
            load_state(tmp_path / name, KEYS)
        assert "\n" not in str(error.value)


def test_a_checkpoint_that_claims_more_than_it_has_is_refused_before_memory_is_taken(tmp_path):
    save_state(state(1.0), tmp_path / "c.pt")
    with zipfile.ZipFile(tmp_path / "c.pt") as whole, zipfile.ZipFile(tmp_path / "spoilt.pt", "w") as spoilt:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert b"K\n" in content  # 10 numbers
                content = content.replace(b"K\n", b"J\xff\xff\xff\x7f")
            spoilt.writestr(entry.filename, content)
    with pytest.raises(StorageError, match=r"not an eenas checkpoint \(it claims tensors of 8,589,934,588 bytes"):
        load_state(tmp_path / "spoilt.pt", KEYS)


@pytest.fixture
def small_disk():
    """No file may grow beyond 64 KiB, which fails while it is written as a full disk does."""
    resource = pytest.importorskip("resource")  # not on Windows
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, small_disk):
    save_state(state(1.0), tmp_path / "c.pt")
    with pytest.raises(StorageError, match=r"c.pt: could not be written \(File too large\); free space or give"):
        save_state(state(2.0, size=100_000), tmp_path / "c.pt")
    assert torch.equal(load_state(tmp_path / "c.pt", KEYS)["network"]["weight"], torch.ones(10))
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_a_full_disk_keeps_the_old_weights(tmp_path, small_disk):
    network = static()
    save_weights(network, tmp_path / "w.safetensors")
    before = (tmp_path / "w.safetensors").read_bytes()
    network.backbone.append(nn.Linear(300, 300))
    with pytest.raises(StorageError, match=r"w.safetensors: could not be written \(File too large\); free space"):
        save_weights(network, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
