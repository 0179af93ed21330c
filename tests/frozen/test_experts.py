"""Experts trained on the frozen backbone: only their own exits learn, and they know distorted images."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.branches.fc import Fc
from eenas.designs.design import Placed, TrainingChoice
from eenas.errors import DesignError, DivergedError, SpecError, TaskError
from eenas.frozen.experts.expert_building import ExpertSpec, build_experts, final_layer_of
from eenas.frozen.experts.expert_calibration import fit_experts, mixed_batches, pictures_of
from eenas.frozen.experts.expert_training import ExpertTraining, train_expert
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_tables import costs_with_classifier, routed_table
from eenas.policies.costs import Costs
from eenas.policies.operating_point import evaluate
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.recognition.distortion_mix import DistortionMix
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network
from tests.smallest_networks import loaded, small_design

SPEC = ExpertSpec(kinds=("contrast",), severities=(4, 5), training=ExpertTraining(samples=2400, batch_size=32))
COSTS = ExitCosts(Costs.of(macs=[50_000.0, 200_000.0]), 10)


@pytest.fixture(scope="module")
def task():
    return smallest_task()


@pytest.fixture(scope="module")
def base(task):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = load_backbone(smallest_backbone(), num_classes=4, input_size=8)
    choice = TrainingChoice(strategy="joint", learning_rate=0.05)
    network = build_network(small_design(Placed("1", Fc()), training=choice), backbone, classes=task.classes)
    plan = TrainingPlan(
        choice=choice,
        spec=TrainingSpec(epochs=12, batch_size=32),
        costs=COSTS.costs["macs"].tolist(),
        seed=0,
        execution=Execution(),
    )
    train_network(network, task, plan)
    return network.eval()


@pytest.fixture(scope="module")
def network(base, task):
    return build_experts(base, task, SPEC, seed=1)


def table_of(network, task, kind, severity=0, **options):
    pictures = pictures_of(task.test, network.transform.inputs, kind, severity)
    return routed_table(network, pictures, costs_with_classifier(COSTS, network.classifier.macs), **options)


def test_only_the_exits_of_the_expert_learn(base, task):
    network = build_experts(base, task, ExpertSpec(kinds=("contrast",), training=ExpertTraining(samples=32)))
    before = copy.deepcopy(network.state_dict())
    train_expert(network, 1, task.train, SPEC.mix("contrast"), ExpertTraining(samples=96, batch_size=32))
    after = network.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed, "the expert learns"
    assert all(key.startswith("experts.1.") for key in changed)
    assert any(".final." in key for key in changed), "its last layer, too"
    assert not network.experts[1].training


def test_the_expert_of_clean_images_is_the_network_that_was_given(base, network, task):
    assert network.names == ("pristine", "contrast")
    x = network.transform(task.test.reader(network.transform.inputs)[np.arange(20)])
    with torch.no_grad():
        for mine, given in zip(network(x, np.zeros(20, dtype=np.int64)), base(x), strict=True):
            torch.testing.assert_close(mine, given)


def test_the_expert_is_better_on_its_distortion_than_the_network_that_was_given(network, task):
    informed = table_of(network, task, "contrast", 5, informed=True)
    pristine = table_of(network, task, None)
    reader = pictures_of(task.test, network.transform.inputs, "contrast", 5)
    logits = [
        torch.stack(network(network.transform(torch.from_numpy(images)), np.zeros(len(images), int)), 1)
        for images, _, _ in reader
    ]
    alone = (torch.cat(logits).argmax(2).numpy() == task.test.labels[:, None]).mean(axis=0)
    found = np.array(informed.exit_accuracy())
    assert (found > alone).all()
    assert found.mean() > alone.mean() + 0.04
    assert set(pristine.contexts) == {"clean"}
    assert set(informed.contexts) == {"contrast:5"}


def test_the_same_seed_trains_the_same_expert(base, task, network):
    again = build_experts(base, task, SPEC, seed=1)
    other = build_experts(base, task, SPEC, seed=2)
    keys = [key for key in network.state_dict() if key.startswith("experts.1.")]
    assert all(torch.equal(again.state_dict()[key], network.state_dict()[key]) for key in keys)
    assert again.classifier == network.classifier
    assert not all(torch.equal(other.state_dict()[key], network.state_dict()[key]) for key in keys)


@pytest.mark.parametrize("batch_norm", ["per_kind", "per_kind_tuned"])
def test_own_batch_normalisation_is_that_of_distorted_images(base, task, batch_norm):
    training = ExpertTraining(samples=320, batch_size=32)
    spec = ExpertSpec(kinds=("contrast",), severities=(5,), training=training, batch_norm=batch_norm)
    given = copy.deepcopy(base.state_dict())
    network = build_experts(base, task, spec, seed=1)
    first, other = (network.body_of(number).state_dict() for number in (0, 1))
    changed = {key.rpartition(".")[2] for key in first if not torch.equal(first[key], other[key])}
    tuned = {"weight", "bias"} if batch_norm == "per_kind_tuned" else set()
    assert changed == {"running_mean", "running_var", "num_batches_tracked"} | tuned
    name = next(key for key in first if key.endswith("running_var"))
    assert other[name].mean() < 0.5 * first[name].mean(), "images without contrast vary less"
    assert all(torch.equal(base.state_dict()[key], value) for key, value in given.items())
    assert not any(parameter.requires_grad for parameter in (*network.body.parameters(), *network.bodies.parameters()))
    x = network.transform(task.test.reader(network.transform.inputs)[np.arange(20)])
    with torch.no_grad():
        for mine, own in zip(network(x, np.zeros(20, dtype=np.int64)), base(x), strict=True):
            torch.testing.assert_close(mine, own)


def test_by_default_batch_normalisation_is_per_kind_where_there_is_any(base, task):
    training = ExpertTraining(samples=32, batch_size=32)
    assert build_experts(base, task, ExpertSpec(kinds=("contrast",), training=training)).own_norms
    plain = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()), nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    )
    network = build_network(small_design(Placed("0", Fc())), loaded(plain), classes=task.classes)
    heard = []
    spec = ExpertSpec(kinds=("contrast",), training=training)
    assert not build_experts(network, task, spec, listener=heard.append).own_norms
    assert "no statistics of batch normalisation" in heard[0].text
    with pytest.raises(DesignError, match='set batch_norm to "shared"'):
        build_experts(network, task, replace(spec, batch_norm="per_kind"))


def test_policies_are_fitted_for_each_expert_on_what_it_gets(network, task):
    costs = costs_with_classifier(COSTS, network.classifier.macs)
    fitting = fit_experts(network, task.validation, costs, severities=(4, 5))
    policy = fitting.policy({"macs": 120_000.0 + network.classifier.macs})
    assert policy.names == network.names
    assert len({each.temperatures for each in policy.policies}) == 2
    point = evaluate(policy, table_of(network, task, "contrast", 5))
    assert 0.4 < point.accuracy <= 1
    assert point.expected["macs"] > COSTS.costs["macs"][0] + network.classifier.macs - 1
    found = network.predict(torch.zeros(3, 3, 8, 8), policy)
    assert len(found.classes) == 3


def test_every_image_is_calibrated_on_clean_and_with_each_kind(task):
    batches = list(mixed_batches(task.validation, task.inputs, ("contrast", "gaussian_noise"), (2, 3)))
    contexts = np.concatenate([names for _, _, names in batches])
    assert len(contexts) == 3 * len(task.validation)
    assert set(contexts) == {"clean", "contrast:2", "contrast:3", "gaussian_noise:2", "gaussian_noise:3"}
    assert (contexts == "clean").sum() == len(task.validation)
    labels = np.concatenate([labels for _, labels, _ in batches])
    assert (np.bincount(labels) == 3 * np.bincount(task.validation.labels)).all()
    again = list(mixed_batches(task.validation, task.inputs, ("contrast", "gaussian_noise"), (2, 3)))
    assert all((one[0] == other[0]).all() for one, other in zip(batches, again, strict=True))


def test_the_last_layer_of_the_backbone_is_found(base):
    assert final_layer_of(base) == "4.2"


def test_a_rate_that_diverges_names_the_expert(base, task):
    network = build_experts(base, task, ExpertSpec(kinds=("contrast",), training=ExpertTraining(samples=32)))
    training = ExpertTraining(samples=960, batch_size=32, learning_rate=10.0)
    with torch.no_grad():
        next(network.expert(1).parameters()).fill_(float("inf"))
    with pytest.raises(DivergedError, match="'contrast' is not finite"):
        train_expert(network, 1, task.train, DistortionMix(kinds=("contrast",)), training)


@pytest.mark.parametrize(
    ("wrong", "words", "error"),
    [
        (lambda: ExpertSpec(kinds=("contrast", "contrast")), "different names", TaskError),
        (lambda: ExpertSpec(kinds=("contrat",)), "contrast", TaskError),
        (lambda: ExpertSpec(kinds=("contrast",), severities=(6,)), "1 to 5", TaskError),
        (lambda: ExpertSpec(kinds=("contrast",), severities=3), "a list of at least one severity", TaskError),
        (lambda: ExpertSpec(kinds=([],)), "unknown distortion", TaskError),
        (lambda: ExpertSpec(kinds=3), "different names in a list", TaskError),
        (lambda: ExpertSpec(kinds=("fog",), batch_norm="per_kin"), "batch_norm .*nearest: 'per_kind'", SpecError),
        (lambda: ExpertTraining(samples=0), "samples", SpecError),
        (lambda: ExpertTraining(batch_size=1), "batch_size", SpecError),
        (lambda: ExpertTraining(learning_rate=-1), "learning_rate", SpecError),
        (lambda: ExpertTraining(learning_rate="x"), "learning_rate", SpecError),
        (lambda: ExpertTraining(weight_decay=None), "weight_decay", SpecError),
    ],
)
def test_values_out_of_range_are_refused(wrong, words, error):
    with pytest.raises(error, match=words):
        wrong()


def test_training_images_that_are_distorted_already_are_refused(base, task):
    robust = task.with_distortions(DistortionsSpec(kinds=("contrast",), share=0.5))
    with pytest.raises(TaskError, match="distorted already"):
        build_experts(base, robust.trained_distorted(), SPEC)


def test_a_batch_larger_than_the_split_is_refused(network, task):
    with pytest.raises(TaskError, match="do not fill a batch of 999"):
        train_expert(network, 1, task.train, None, ExpertTraining(batch_size=999))
