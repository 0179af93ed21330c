"""Networks with experts: one backbone, each sample answered by its own expert, as the classifier chooses."""

import copy

import numpy as np
import pytest
import torch

from eenas.designs.design import TrainingChoice
from eenas.errors import DesignError, InputError, PolicyError
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.expert_tables import (
    confusion,
    costs_with_classifier,
    expert_of_context,
    in_batches,
    routed_table,
)
from eenas.policies.costs import Costs
from eenas.policies.operating_point import evaluate
from tests.networks.experts_network import NAMES, base_network, classifier_of, expert_network, policy_for

COSTS = ExitCosts(Costs.of(macs=[100.0, 200.0, 300.0], latency=[1.0, 2.0, 3.0]), 10)


@pytest.fixture
def network():
    return expert_network()


def raw(count=60, seed=0):
    generator = np.random.default_rng(seed)
    spread = generator.uniform(2, 120, size=(count, 1, 1, 1))
    return np.clip(generator.normal(120, spread, size=(count, 3, 8, 8)), 0, 255).astype(np.uint8)


def inputs(network, count=60, seed=0):
    return network.transform(torch.from_numpy(raw(count, seed)))


def test_the_first_expert_answers_as_the_network_that_was_given():
    base = base_network()
    network = expert_network(base)
    x = inputs(network)
    for mine, theirs in zip(network(x, np.zeros(len(x), dtype=np.int64)), base(x), strict=True):
        torch.testing.assert_close(mine, theirs)
    for mine, theirs in zip(network(x, np.ones(len(x), dtype=np.int64)), base(x), strict=True):
        assert (mine - theirs).abs().max() > 0.1, "the other experts differ at every exit, the final one included"


def test_each_sample_has_the_logits_of_its_expert(network):
    x = inputs(network)
    chosen = network.choose(x)
    assert set(chosen.tolist()) == {0, 1, 2}
    whole = network(x)
    for number in range(3):
        rows = torch.from_numpy(np.flatnonzero(chosen == number))
        alone = network.expert_logits(number, network.features(x[rows]))
        for mine, own in zip(whole, alone, strict=True):
            torch.testing.assert_close(mine[rows], own)


@pytest.mark.parametrize("own_norms", [False, True], ids=["shared", "per_kind"])
@pytest.mark.parametrize(
    "base",
    [
        base_network,
        lambda: base_network(cascade=True),
        lambda: base_network(training=TrainingChoice(loss_weights="boosted")),
        lambda: base_network(static=True),
    ],
    ids=["plain", "cascade", "boosted", "static"],
)
def test_prediction_equals_the_exit_table_sample_by_sample(base, own_norms):
    network = expert_network(base(), own_norms=own_norms)
    costs = ExitCosts(COSTS.costs.first(len(network.exits)), 10)
    policy, images = policy_for(network, 0.5, 0.6, 0.4), raw(80, seed=2)
    table = routed_table(network, in_batches(images, np.zeros(80, dtype=np.int64), "clean", batch_size=32), costs)
    expected = policy.apply(table)
    found = network.predict(torch.from_numpy(images), policy)
    assert found.exits.tolist() == expected.exit_index.tolist()
    assert found.classes.tolist() == expected.answer.tolist()
    assert found.experts.tolist() == table.chosen.tolist()
    rows = torch.arange(80)
    torch.testing.assert_close(found.logits, torch.from_numpy(table.logits)[rows, found.exits], rtol=1e-4, atol=1e-5)
    assert len(network.exits) == 1 or len(set(found.exits.tolist())) > 1
    for index in (0, 7, 30):
        one = network.predict(torch.from_numpy(images[index : index + 1]), policy)
        assert (int(one.exits), int(one.classes)) == (int(found.exits[index]), int(found.classes[index]))


def test_later_segments_run_on_the_samples_that_remain(network):
    x = inputs(network)
    seen = []
    for segment in network.segments(x):
        segment.register_forward_hook(lambda module, given, output: seen.append(len(output)))
    policy = policy_for(network, 0.4, 0.5, 0.6)
    found = network.predict(x, policy)
    left = np.cumsum(np.bincount(found.exits.numpy(), minlength=3))
    assert seen == [60, 60 - left[0], 60 - left[1]][: len(seen)]
    assert 0 < seen[-1] < 60


def test_experts_share_the_backbone_and_nothing_else(network):
    keys = set(network.state_dict())
    assert not any(key.startswith("body.4.2") for key in keys), "the last layer is in each expert"
    assert {key.split(".")[1] for key in keys if key.startswith("experts.")} == {"0", "1", "2"}
    assert all(not parameter.requires_grad for parameter in network.body.parameters())
    network.train()
    assert not any(module.training for module in network.body.modules())
    assert network.experts[0].training


def test_without_a_linear_layer_at_the_end_the_final_exit_is_shared():
    base = base_network()
    network = expert_network(base, final_layer=None)
    x = inputs(network)
    for number in range(3):
        logits = network(x, np.full(len(x), number))
        torch.testing.assert_close(logits[-1], base(x)[-1])
    assert (network(x, np.zeros(60, int))[0] - network(x, np.ones(60, int))[0]).abs().max() > 0.1


def test_a_copy_and_loaded_weights_answer_alike(network):
    x, policy = inputs(network), policy_for(network, 0.5, 0.5, 0.5)
    before = network.predict(x, policy)
    copied = copy.deepcopy(network)
    other = expert_network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(network.state_dict())
    for each in (copied, other):
        torch.testing.assert_close(each.predict(x, policy).logits, before.logits)


def test_an_empty_batch_has_empty_answers(network):
    found = network.predict(torch.zeros(0, 3, 8, 8), policy_for(network, 0.5, 0.5, 0.5))
    assert len(found.classes) == len(found.experts) == 0
    assert [len(each) for each in network(torch.zeros(0, 3, 8, 8))] == [0, 0, 0]


def test_what_cannot_be_predicted_is_refused(network):
    x = inputs(network, 4)
    with pytest.raises(PolicyError, match="no policy"):
        network.predict(x)
    with pytest.raises(PolicyError, match="must be for the experts"):
        network.predict(x, policy_for(expert_network(base_network(static=True)), 0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="NaN"):
        network.predict(torch.full((2, 3, 8, 8), float("nan")), policy_for(network, 0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="overflow"):
        network.predict(3e38 * torch.randn(1, 3, 8, 8).sign(), policy_for(network, 0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="raw"):
        network(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_a_classifier_of_other_images_is_refused():
    base = base_network()
    other = classifier_of(base.transform)
    object.__setattr__(other, "shape", (3, 16, 16))
    with pytest.raises(DesignError, match=r"\[3, 8, 8\]"):
        ExpertNetwork(base, other)


def test_the_classifier_is_paid_for_at_every_exit(network):
    found = costs_with_classifier(COSTS, 7, 0.25)
    assert found.costs["macs"].tolist() == [107, 207, 307]
    assert found.costs["latency"].tolist() == [1.25, 2.25, 3.25]
    assert "latency" not in costs_with_classifier(COSTS, 7).costs, "an unmeasured classifier has no milliseconds"
    images, labels = raw(40), np.zeros(40, dtype=np.int64)
    table = routed_table(network, in_batches(images, labels, "clean"), found)
    assert evaluate(policy_for(network, 0.0, 0.0, 0.0), table).expected["macs"] == 107


def test_mistakes_of_the_classifier_are_in_the_table_and_counted(network):
    images, labels = raw(50), np.zeros(50, dtype=np.int64)
    table = routed_table(network, in_batches(images, labels, "gaussian_noise:3"), COSTS)
    informed = routed_table(network, in_batches(images, labels, "gaussian_noise:3"), COSTS, informed=True)
    assert (informed.chosen == 2).all()
    wrong = table.chosen != 2
    assert wrong.any()
    assert (table.logits[wrong] != informed.logits[wrong]).any(axis=(1, 2)).all()
    np.testing.assert_allclose(table.logits[~wrong], informed.logits[~wrong], atol=1e-5)
    counts = confusion(table.chosen, table.contexts, NAMES)
    assert counts.sum() == counts[2].sum() == 50
    assert counts[2, 2] == (~wrong).sum()


def test_a_context_that_no_expert_knows_has_the_first():
    assert expert_of_context(NAMES, ["clean", "gaussian_blur:5", "fog:1", "night"]).tolist() == [0, 1, 0, 0]
