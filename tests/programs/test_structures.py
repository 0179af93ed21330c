"""Every structure of a branch goes through the exported programs: several in one network, a structure an exit."""

import numpy as np
import pytest
import torch

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.learned_cell import LearnedCell
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.readout import ReadoutBranch
from eenas.branches.registry import FAMILIES
from eenas.branches.tokens.attention_fc import AttentionFc
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.branches.tokens.token_conv import TokenConv
from eenas.deployment.program_folder import write_model
from eenas.designs.design import Placed
from eenas.networks.assembly import build_network
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.model_folder import Package
from eenas.programs.parity import CLOSE, Parity, validation_samples
from eenas.programs.programs import Programs
from eenas.programs.runtime import load
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import small_design

pytestmark = pytest.mark.slow

SIZE, PLACES = 16, ("layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.1")
KINDS = (
    Fc(),
    Mlp(width=8),
    ConvFc(width=8),
    ConvStack(width=8, layers=2),
    PoolFc(pool="mixed"),
    ConvPoolFc(width=8, layers=1),
    Cascade(branch=Capsule(width=8)),
    LearnedCell(width=4, operations=("sep_conv5", "dil_conv3")),
)


def test_no_family_is_left_out():
    """The families for tokens and nodes have their own tests, which vary the length."""
    tried = {branch.kind for branch in KINDS} | {
        Capsule.kind,
        PoolerFc.kind,
        AttentionFc.kind,
        TokenConv.kind,
        ReadoutBranch.kind,
    }
    assert tried - {Cascade.kind} == set(FAMILIES) - {"learned"}, "what `learned` finds is one of the others"


def test_structures_answer_alike_in_programs(tmp_path):
    torch.manual_seed(0)
    backbone = load_backbone("cifar_resnet20", num_classes=4, input_size=SIZE)
    placed = tuple(Placed(cut_point=name, branch=branch) for name, branch in zip(PLACES, KINDS, strict=True))
    design = small_design(*placed, size=SIZE, backbone="cifar_resnet20")
    network = build_network(design, backbone, classes=smallest_task().classes).eval()
    exits = len(placed) + 1
    network.policy = ThresholdPolicy(
        score="max_softmax", temperatures=(1.0,) * exits, thresholds=tuple(np.linspace(0.9, 0.3, exits - 1).tolist())
    )
    package = Package(
        network=network, backbone=BackboneSpec(name="cifar_resnet20"), trained=False, measured={}, card=""
    )
    folder = write_model(
        package, tmp_path / "model", Programs(format="onnx"), validation_samples(network, smallest_task())
    )
    found = Parity.of(folder)
    assert len(found.differences) == exits
    assert max(found.differences) <= CLOSE
    x = torch.randn(9, 3, SIZE, SIZE)
    here, there = network.predict(x), load(folder, threads=1).predict(x.numpy())
    np.testing.assert_array_equal(here.exits, there.exits)
    np.testing.assert_allclose(here.logits, there.logits, atol=1e-4)
