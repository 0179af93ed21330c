"""The branch bank: nothing is trained twice, what is kept is what was trained, and faults cost one branch at most."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import eenas.study.context.bank as bank_module
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import DivergedError, StorageError
from eenas.networks.tables import exit_table
from eenas.progress import Finished, Notice
from eenas.specs import digest, from_table, to_table
from eenas.study.context.bank import PHASE, Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.frozen_front import FrozenFront, first_branches, lay_bank, read_front
from eenas.study.settings.study_spec import StudySpec
from eenas.training.spec import TrainingSpec
from tests.smallest_networks import small_design
from tests.smallest_study import SETTINGS, backbone, study_context, url
from tests.token_sets import PAD, TokenNet, token_task

BRANCHES = (Placed("0", Fc()), Placed("1", PoolFc(pool="avg", size=2)), Placed("2", ConvFc(width=4)))


@pytest.fixture
def heard():
    return []


@pytest.fixture
def lay(tmp_path, heard):
    """Makes a context as a worker of a study does, on one storage."""

    def context(module=None, *overrides: str, storage: str = "eenas.db") -> StudyContext:
        other = {"backbone": module or backbone(), "listener": heard.append}
        return study_context(f"sqlite:///{tmp_path}/{storage}", (*SETTINGS, "space.cost_cap=1.0", *overrides), **other)

    return context


def trained(heard):
    return [event.detail for event in heard if isinstance(event, Finished) and event.phase == PHASE]


def design_of(context, placed):
    return small_design(*placed, backbone=context.backbone.name)


def test_no_branch_is_trained_twice_and_company_does_not_matter(lay, heard):
    first = Bank(lay())
    assert first.fill(BRANCHES[:2]) == 2
    assert first.samples > 0
    assert Bank(lay()).fill(BRANCHES) == 1
    assert trained(heard) == ["2 branches", "1 branch"]
    together = Bank(lay(storage="other.db"))
    for split in ("tune", "calibration", "validation"):
        kept = Bank(lay()).logits(BRANCHES, split)
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, together.logits(BRANCHES, split))
    assert trained(heard)[2:] == ["3 branches"]


@pytest.mark.parametrize("change", ["weights", "training", "seed"])
def test_whatever_decides_the_weights_is_in_the_key(lay, change):
    Bank(lay()).fill(BRANCHES[:1])
    module, overrides = copy.deepcopy(backbone()), ()
    if change == "weights":
        with torch.no_grad():
            next(module.parameters()).mul_(1.01)
    elif change == "training":
        overrides = ("bank.training.samples=64",)
    context = lay(module, *overrides)
    if change == "seed":
        context = replace(context, settings=replace(context.settings, seed=5))
    assert not Bank(context).holds(BRANCHES[0])
    assert Bank(lay()).holds(BRANCHES[0])


def test_a_study_that_is_read_back_has_the_same_bank(lay):
    context = lay()
    whole = replace(context, settings=replace(context.settings, training=TrainingSpec(epochs=1)))
    read = replace(context, settings=from_table(StudySpec, json.loads(json.dumps(to_table(whole.settings)))))
    assert digest(Bank(read).conditions) == digest(Bank(whole).conditions)


def test_a_network_inherits_what_its_table_says(lay):
    context = lay()
    bank = Bank(context)
    placed = [BRANCHES[0], *(Placed(each.cut_point, Cascade(branch=each.branch)) for each in BRANCHES[1:])]
    for branches in (BRANCHES, placed):
        design = design_of(context, branches)
        network, costs = context.build(design), context.costs(design)
        fresh = exit_table(network, context.task.calibration, costs)
        bank.inherit(network)
        own = exit_table(network, context.task.calibration, costs)
        said = bank.exit_tables(design, costs)["calibration"]
        np.testing.assert_allclose(own.logits, said.logits, atol=1e-5)
        assert np.abs(own.logits - fresh.logits).max() > 1e-3
        assert own.exits == said.exits


def test_the_table_scores_any_choice_as_the_network_would(lay):
    context = lay()
    bank = Bank(context)
    whole = bank.table(BRANCHES, "validation")
    some = whole.exit_table((0, 2))
    design = design_of(context, (BRANCHES[0], BRANCHES[2]))
    network, costs = context.build(design), context.costs(design)
    bank.inherit(network)
    own = exit_table(network, context.task.validation, costs)
    np.testing.assert_allclose(some.logits, own.logits, atol=1e-5)
    np.testing.assert_allclose(some.costs["macs"], own.costs["macs"])


@pytest.mark.parametrize("fault", ["gone", "cut short", "other bytes"])
def test_a_broken_artifact_is_not_trusted(lay, heard, fault):
    Bank(lay()).fill(BRANCHES[:2])
    root = lay().artifacts.root
    for file in sorted(root.glob("branch-*.safetensors")):
        if fault == "gone":
            file.unlink()
        else:
            data = file.read_bytes()
            file.write_bytes(data[: len(data) // 2] if fault == "cut short" else data[:-1] + bytes([data[-1] ^ 1]))
    heard.clear()
    bank = Bank(lay())
    assert bank.logits(BRANCHES[:2], "tune").shape[1] == 3
    assert trained(heard) == ["2 branches"]


def test_a_branch_whose_row_another_worker_dropped_is_trained_again(lay, heard):
    bank = Bank(lay())
    bank.logits(BRANCHES[:2], "tune")
    for file in lay().artifacts.root.glob("branch-*.safetensors"):
        file.unlink()
    assert not any(Bank(lay()).holds(each) for each in BRANCHES), "which drops the rows"
    heard.clear()
    assert bank.logits(BRANCHES[:2], "tune").shape[1] == 3
    assert trained(heard) == ["2 branches"]


def test_of_two_workers_that_train_the_same_branch_one_wins_and_both_go_on(lay):
    one, two = Bank(lay()), Bank(lay())
    assert one.fill(()) == two.fill(()) == 0
    missing = (BRANCHES[0],)
    one._train(missing, keep_final=False)
    two._train(missing, keep_final=False)
    assert len(list(lay().artifacts.root.glob("branch-*.safetensors"))) == 2
    np.testing.assert_array_equal(one.logits(missing, "tune"), two.logits(missing, "tune"))


@pytest.mark.parametrize("memory", [bank_module.MEMORY, 1])
def test_a_branch_that_diverges_costs_no_other(lay, monkeypatch, memory):
    monkeypatch.setattr(bank_module, "MEMORY", memory)  # of 1 byte: each branch is a group of its own
    build = PoolFc.build

    def broken(self, shape, num_classes):
        module = build(self, shape, num_classes)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(float("nan"))
        return module

    monkeypatch.setattr(PoolFc, "build", broken)
    bank = Bank(lay())
    with pytest.raises(DivergedError, match="pool_fc avg at 1 on the frozen backbone is not finite; remove"):
        bank.fill(BRANCHES)
    assert [bank.holds(each) for each in BRANCHES] == [True, False, True]


def test_the_front_is_found_once_and_its_designs_are_the_space_s(lay, heard):
    context = lay()
    front = lay_bank(context, Bank(context))
    assert front.designs
    assert (np.diff(front.cost) > 0).all()
    assert (np.diff(front.accuracy) > 0).all()
    offered = {(each.cut_point, each.branch) for each in first_branches(context)}
    for design in front.designs:
        assert {(each.cut_point, each.branch) for each in design.branches} <= offered
    heard.clear()
    again = lay_bank(lay(), Bank(lay()))
    assert trained(heard) == []
    assert again.to_table() == front.to_table() == read_front(front.to_table()).to_table()


def test_a_share_bounds_what_is_trained_before_the_trials(lay):
    everything = first_branches(lay())
    context = lay(None, "bank.share=0.05")
    some = first_branches(context)
    shapes = {point.name: point.shape for point in context.profile.cut_points}
    assert sum(context.branch_macs(p.branch, shapes[p.cut_point]) for p in some) <= 0.05 * context.profile.total_macs
    assert len(some) < len(everything)
    nothing = lay(None, "bank.share=0")
    assert lay_bank(nothing, Bank(nothing)).designs == ()


def test_above_compares_at_equal_cost():
    front = FrozenFront(accuracy=np.array([0.5, 0.8]), cost=np.array([0.2, 0.6]))
    assert front.above(np.array([0.55]), np.array([0.3])) == pytest.approx(0.05)
    assert front.above(np.array([0.7]), np.array([0.6])) == pytest.approx(-0.1)
    assert front.above(np.array([0.3]), np.array([0.1])) == pytest.approx(0.3)
    assert FrozenFront().above(np.array([0.1]), np.array([1.0])) == float("inf")


def test_features_on_disk_are_taken_from_there(lay, heard):
    context = lay(None, "bank.feature_cache=100MB")
    bank = Bank(context)
    bank.fill(BRANCHES[:2])
    files = sorted(file.name for file in (context.artifacts.root / "features").glob("*.f16"))
    assert len(files) == 2 * (1 + 3)  # cut points, times train and the three splits
    other = (Placed("0", PoolFc(pool="max")), Placed("1", Fc()))
    context.backbone.module.forward = None  # what runs it now fails
    assert bank.fill(other) == 2
    assert Bank(lay(None, "bank.feature_cache=100MB")).logits(other, "tune").shape[1] == 3
    assert not any(isinstance(event, Notice) and "feature cache" in event.text for event in heard)


class NumberedNet(TokenNet):
    """Carries the numbers of the tokens from 3000 beside the mask, and adds them to the embeddings."""

    carried_columns = 2

    def __init__(self):
        super().__init__()
        self.carry = NumberedMask()

    def forward(self, ids):
        columns = self.carry(ids)
        mask = columns[:, :, :1]
        x = self.words(ids) + 1e-3 * columns[:, :, 1:]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=mask[:, :, 0] < 0.5)
        return self.head((x * mask).sum(dim=1) / mask.sum(dim=1))


class NumberedMask(nn.Module):
    def forward(self, ids):
        mask = (ids != PAD).float().unsqueeze(2)
        return torch.cat([mask, (3000 + torch.arange(ids.shape[1])).expand(ids.shape).unsqueeze(2).float()], dim=2)


@pytest.mark.parametrize(("net", "kept"), [(TokenNet, "f16"), (NumberedNet, "f32")])
def test_numbers_that_later_layers_read_stay_exact_on_disk(tmp_path, net, kept):
    settings = (*SETTINGS, "bank.feature_cache=100MB", "prepare.when=never")
    context = study_context(url(tmp_path), settings, space=None, backbone=net(), task=token_task(60))
    assert [point.shape.carried for point in context.profile.cut_points if point.name == "layers.0"] == [
        1 + (kept == "f32")
    ]
    Bank(context).fill([Placed("layers.0", Fc())])
    files = sorted((context.artifacts.root / "features").glob("*.f*"))
    assert {file.suffix for file in files} == {f".{kept}"}
    read = np.memmap(files[0], dtype={"f16": np.float16, "f32": np.float32}[kept]).astype(np.float32)
    assert (3001 in read) == (kept == "f32")


@pytest.mark.parametrize("times", [1, bank_module.ATTEMPTS])
def test_artifacts_that_go_missing_while_they_are_read_are_made_again_or_said(lay, monkeypatch, times):
    context = lay()
    bank, fill, seen = Bank(context), Bank.fill, []

    def fill_and_lose(self, placed):
        made = fill(self, placed)
        if len(seen) < times:
            seen.append(made)
            for file in context.artifacts.root.glob("branch-*"):
                file.unlink()
        return made

    expected = Bank(lay(storage="other.db")).logits(BRANCHES[:1], "validation")
    monkeypatch.setattr(Bank, "fill", fill_and_lose)
    if times == 1:
        assert np.array_equal(bank.logits(BRANCHES[:1], "validation"), expected)
    else:
        with pytest.raises(
            StorageError, match="artifacts of the bank go missing while they are used; end what removes"
        ):
            bank.logits(BRANCHES[:1], "validation")
    assert len(seen) == times
