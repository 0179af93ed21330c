"""The search for structures: it finds what was planted, pays for what it costs, and depends on nothing beside it."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import eenas.frozen.cell_search as cell_search_module
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.branches.cell import OPERATIONS
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.learned_cell import LearnedCell
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import BranchError, CutError, DivergedError, OutOfMemoryError, SpecError, TrainingError
from eenas.frozen.cell_search import CHOICES, CellSearch
from eenas.frozen.family_search import FamilySearch
from eenas.frozen.learned_branches import StructureCosts, StructureTraining, find_structures
from eenas.frozen.structure_search import SearchPlace, StructureSpec
from eenas.measurement.macs import count_macs
from eenas.progress import Advanced, Finished, Started, silent
from eenas.tasks.task import Task
from eenas.training.execution import Execution

SIZE, CLASSES, REFERENCE = 8, 2, 1e6
LOCAL = {"conv_fc", "conv_stack", "conv_pool_fc"}
SPATIAL = {"sep_conv3", "sep_conv5", "dil_conv3"}
BRIEF = StructureSpec(samples=320, batch_size=16)


@pytest.fixture(scope="module")
def stripes() -> Task:
    """600 images of stripes in noise, across or upright: only how a pixel compares with its neighbours differs."""
    generator = np.random.default_rng(0)
    labels = np.arange(600) % 2
    images = generator.normal(128, 20, (600, SIZE, SIZE, 3))
    for image, label in zip(images, labels, strict=True):
        stripe = ((np.arange(SIZE) + generator.integers(2)) % 2 * 2 - 1) * 60
        image += stripe[:, None, None] if label else stripe[None, :, None]
    return Task.from_arrays("stripes", np.clip(images, 0, 255).astype(np.uint8), labels, flip=False)


@pytest.fixture(scope="module")
def brightness() -> Task:
    """400 images, dark or bright."""
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = generator.normal(100, 20, (400, SIZE, SIZE, 3)) + 40 * labels[:, None, None, None]
    return Task.from_arrays("brightness", np.clip(images, 0, 255).astype(np.uint8), labels, flip=False)


class Patches(nn.Module):
    """Images to tokens."""

    def forward(self, x):
        return nn.functional.unfold(x, 2, stride=2).transpose(1, 2)


class Rows(nn.Module):
    def forward(self, x):
        return x.mean(dim=1)


def backbone_of(*parts: nn.Module) -> Backbone:
    torch.manual_seed(0)
    return load_backbone(nn.Sequential(*parts), num_classes=CLASSES, input_size=SIZE)


@pytest.fixture(scope="module")
def maps() -> Backbone:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES))
    return backbone_of(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), head)


def macs_of(branch: Branch, shape: FeatureShape) -> int:
    return count_macs(branch.build(shape, CLASSES), shape)


def costs_of(names, limit=1e9):
    return StructureCosts(limits=dict.fromkeys(names, limit), reference_macs=REFERENCE, branch_macs=macs_of)


def find(backbone, branches, task, spec=BRIEF, *, limit=1e9, seed=0, listener=silent, **options):
    """What is found for branches by cut point, and the facts."""
    placed = tuple(Placed(name, branch) for name, branch in branches.items())
    training = StructureTraining(spec=spec, seed=seed, **options)
    found, facts = find_structures(
        backbone, placed, task, training=training, costs=costs_of(branches, limit), listener=listener
    )
    assert [each.cut_point for each in found] == list(branches)
    assert json.loads(json.dumps(facts)) == facts
    return {each.cut_point: each.branch for each in found}, facts


@dataclass(frozen=True, kw_only=True)
class Blind(Branch):
    """A branch that sees nothing, as dear as one that sees."""

    kind: ClassVar[str] = "blind"
    number: int = 0

    def build(self, feature_shape, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Dropout(1.0), nn.Linear(feature_shape.elements, num_classes))


class Noise(nn.Module):
    """An operation that lets nothing through; like every other it gives values around 1."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


@pytest.mark.parametrize("position", [0, 2])
def test_the_one_family_that_sees_is_found(position, brightness, maps, monkeypatch):
    forms: list[Branch] = [Blind(number=number) for number in range(4)]
    forms[position] = Fc()
    monkeypatch.setattr(Learned, "forms", lambda self, shape: tuple(forms))
    found, facts = find(maps, {"0": Learned()}, brightness, StructureSpec(samples=1500, batch_size=16))
    assert found["0"] == Fc()
    table = facts["branches"][0]
    assert table["shares"][position] > 0.7
    assert table["losses"][position] == min(table["losses"])


@pytest.mark.parametrize("planted", ["conv1x1", "max_pool3", "sep_conv3"])
def test_the_one_operation_that_lets_anything_through_is_found(planted, brightness, maps, monkeypatch):
    real = cell_search_module.operation

    def operation(name, channels, stride, *, affine=True):
        return real(name, channels, stride, affine=affine) if name == planted else Noise(stride)

    monkeypatch.setattr(cell_search_module, "operation", operation)
    spec = StructureSpec(samples=1200, batch_size=16)
    found, facts = find(maps, {"0": LearnedCell(width=4)}, brightness, spec)
    assert found["0"] == LearnedCell(width=4, operations=(planted, planted))
    shares = np.array(facts["branches"][0]["shares"])
    assert shares.shape == (2, len(CHOICES))
    assert (shares.argmax(axis=1) == CHOICES.index(planted)).all()


def test_stripes_need_a_family_that_compares_neighbours(stripes, maps):
    found, facts = find(maps, {"0": Learned(width=8)}, stripes, StructureSpec(samples=2500, batch_size=16))
    assert found["0"].kind in LOCAL
    table = facts["branches"][0]
    losses = dict(zip(table["forms"], table["losses"], strict=True))
    assert all(loss > 0.5 for label, loss in losses.items() if label.split()[0] not in LOCAL)
    shape = maps.all_cut_points[0].shape
    assert table["macs"] == [macs_of(form, shape) for form in Learned(width=8).forms(shape)]


def test_stripes_need_an_operation_that_compares_neighbours(stripes, maps):
    found, facts = find(maps, {"0": LearnedCell(width=6)}, stripes, StructureSpec(samples=2000, batch_size=16))
    assert SPATIAL & set(found["0"].operations)
    shares = np.array(facts["branches"][0]["shares"])
    spatial = [CHOICES.index(name) for name in SPATIAL]
    assert shares[:, spatial].sum(axis=1).max() > 0.5


def test_a_high_price_makes_structures_cheap(stripes, maps):
    open_ones = {"0": Learned(width=8), "1": LearnedCell(width=8)}
    shape = maps.all_cut_points[0].shape
    found, facts = find(maps, open_ones, stripes, StructureSpec(samples=1000, batch_size=32, cost_weight=100.0))
    assert macs_of(found["0"], shape) < 1000
    assert set(found["1"].operations) <= {"skip", "avg_pool3", "max_pool3"}
    _, without = find(maps, open_ones, stripes, StructureSpec(samples=1000, batch_size=32, cost_weight=0.0))
    for cheap, other in zip(facts["branches"], without["branches"], strict=True):
        assert cheap["expected_macs"] < other["expected_macs"]


def test_what_is_found_keeps_the_limit(stripes, maps):
    shape = maps.all_cut_points[0].shape
    limit = 4000
    found, facts = find(maps, {"0": Learned(width=8), "1": LearnedCell(width=8)}, stripes, limit=limit)
    assert all(macs_of(branch, shape) <= limit for branch in found.values())
    assert "conv_stack 2x8" not in facts["branches"][0]["forms"]
    within = [form for form in Learned(width=8).forms(shape) if macs_of(form, shape) <= limit]
    assert facts["branches"][0]["forms"] == [form.label() for form in within]


def test_where_one_form_is_left_nothing_is_searched(stripes, maps):
    plainest = macs_of(PoolFc(pool="avg", size=1), maps.all_cut_points[0].shape)
    found, facts = find(maps, {"0": Learned(width=64), "1": Fc()}, stripes, limit=plainest)
    assert found == {"0": PoolFc(pool="avg", size=1), "1": Fc()}
    assert facts["samples"] == 0
    assert [table["cut_point"] for table in facts["branches"]] == ["0"]


def test_what_is_found_depends_on_the_seed_and_not_on_the_others(stripes, maps):
    both = {"0": Learned(width=8), "1": LearnedCell(width=4)}
    together = find(maps, both, stripes)
    again = find(maps, both, stripes)
    assert together == again
    other = find(maps, both, stripes, seed=1)
    assert other[1] != together[1]
    for index, (name, branch) in enumerate(both.items()):
        alone = find(maps, {name: branch}, stripes)
        assert alone[1]["branches"] == [together[1]["branches"][index]]
        assert alone[1]["samples"] == together[1]["samples"]
    assert BRIEF.samples <= together[1]["samples"] <= BRIEF.samples + BRIEF.batch_size


def test_several_open_branches_may_stand_at_one_cut_point(stripes, maps):
    placed = (Placed("0", Learned(width=4)), Placed("0", LearnedCell(width=4)), Placed("1", Learned(width=4)))
    training = StructureTraining(spec=BRIEF, seed=0)
    found, facts = find_structures(maps, placed, stripes, training=training, costs=costs_of(("0", "1")))
    assert [each.cut_point for each in found] == ["0", "0", "1"]
    assert not any(each.branch.is_open for each in found)
    assert [table["asked"] for table in facts["branches"]] == ["learned 4", "learned_cell 4", "learned 4"]


def test_the_backbone_and_the_random_state_are_left_alone(stripes, maps):
    before = {name: value.clone() for name, value in maps.module.state_dict().items()}
    state = torch.get_rng_state()
    events: list[object] = []
    find(maps, {"1": Learned(width=4)}, stripes, listener=events.append)
    assert all(torch.equal(before[name], value) for name, value in maps.module.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in maps.module.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert isinstance(events[-2], Advanced)
    assert events[-2].done == 100


def test_tokens_and_vectors_are_searched_too(brightness):
    linear = [nn.Linear(12, 12) for _ in range(3)]
    patches = backbone_of(Patches(), *linear[:2], Rows(), linear[2], nn.ReLU(), nn.Linear(12, CLASSES))
    shapes = {point.name: point.shape for point in patches.all_cut_points}
    assert shapes["1"].kind == shapes["2"].kind == "tokens"
    assert shapes["3"].kind == "vector"
    asked = {"1": LearnedCell(width=4), "2": Learned(width=4), "3": Learned(width=4)}
    execution = Execution(channels_last=True, autocast=torch.bfloat16)
    found, facts = find(patches, asked, brightness, execution=execution)
    assert not any(branch.is_open for branch in found.values())
    assert facts["branches"][2]["forms"] == ["fc", "mlp 4"]
    for name, branch in found.items():
        branch.build(shapes[name], CLASSES)(shapes[name].example(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_searches_too(stripes, maps):
    found, _ = find(maps, {"0": Learned(width=8), "1": LearnedCell(width=4)}, stripes, device="cuda")
    assert not any(branch.is_open for branch in found.values())


def place_of(shape, limit=1e9):
    return SearchPlace(shape=shape, num_classes=CLASSES, limit=limit, reference_macs=REFERENCE)


def cell_of(width, shape, limit=1e9):
    return CellSearch(LearnedCell(width=width), place_of(shape, limit), BRIEF, seed=0, device=torch.device("cpu"))


def prefer(search, *names):
    for edge, name in zip(search.edges, names, strict=True):
        edge.alpha.data.fill_(0.0)
        edge.alpha.data[CHOICES.index(name)] = 50.0


@pytest.mark.parametrize("side", [8, 16])
def test_expected_macs_are_those_of_the_cell_when_the_choice_is_certain(side):
    shape = FeatureShape((6, side, side))
    search = cell_of(4, shape)
    for name in OPERATIONS[1:]:
        prefer(search, name, name)
        assert search.found() == LearnedCell(width=4, operations=(name, name))
        assert search.facts()["expected_macs"] == pytest.approx(macs_of(search.found(), shape), rel=1e-5)
    prefer(search, "none", "none")
    assert search.found().operations != ("none", "none")


def test_at_most_one_skip_is_found_and_the_limit_is_kept():
    shape = FeatureShape((6, 8, 8))
    search = cell_of(4, shape)
    prefer(search, "skip", "skip")
    search.edges[0].alpha.data[CHOICES.index("dil_conv3")] = 20.0
    assert search.found().operations == ("dil_conv3", "skip")
    limit = macs_of(LearnedCell(width=4, operations=("sep_conv5", "avg_pool3")), shape)
    tight = cell_of(4, shape, limit)
    prefer(tight, "sep_conv5", "sep_conv5")
    tight.edges[1].alpha.data[CHOICES.index("max_pool3")] = 1.0
    assert tight.found().operations == ("sep_conv5", "max_pool3")


def test_skips_are_dropped_less_and_less_and_never_while_the_structure_learns():
    search = cell_of(4, FeatureShape((6, 8, 8)))
    x, labels = torch.randn(8, 6, 8, 8), torch.arange(8) % CLASSES
    drops = []
    for progress in (0.0, 0.5, 0.9):
        search.train_weights(x, labels, progress)
        drops.append(search.edges[0].skip_drop)
    assert drops == pytest.approx([0.3, 0.15, 0.03])
    before = [weight.detach().clone() for weight in search.weights.param_groups[0]["params"]]
    search.train_structure(x, labels, 0.9)
    assert search.edges[0].skip_drop == 0
    assert all(
        torch.equal(one, other) for one, other in zip(before, search.weights.param_groups[0]["params"], strict=True)
    )


def test_weights_leave_the_structure_alone_and_one_family_runs_in_a_step():
    shape = FeatureShape((6, 8, 8))
    forms = {form: macs_of(form, shape) for form in Learned(width=4).forms(shape)}
    search = FamilySearch(forms, place_of(shape), BRIEF, seed=0, device=torch.device("cpu"))
    x, labels = torch.randn(8, *shape.dims), torch.arange(8) % CLASSES
    ran: list[int] = []
    for index, head in enumerate(search.heads):
        head.register_forward_hook(lambda *_, index=index: ran.append(index))
    for _ in forms:
        search.train_weights(x, labels, 0.0)
    assert sorted(ran) == list(range(len(forms))), "in the warm-up every family has its turn"
    assert not search.alpha.any()
    search.train_structure(x, labels, 0.5)
    ran.clear()
    search.train_weights(x, labels, 0.5)
    search.train_structure(x, labels, 0.5)
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"samples": 0}, "samples must be"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"cost_weight": -1.0}, "cost_weight must not be negative"),
        ({"cell_rate": 0}, "cell_rate must be above 0"),
    ],
)
def test_a_search_that_searches_nothing_is_refused(values, text):
    with pytest.raises(SpecError, match=text):
        StructureSpec(**{"samples": 100, **values})


def test_what_cannot_be_searched_says_why(stripes, maps):
    with pytest.raises(CutError, match="no cut point 'nowhere'"):
        find(maps, {"nowhere": Learned()}, stripes)
    with pytest.raises(BranchError, match=r"its simplest form costs .* over the cap of 100; make the branch narrower"):
        find(maps, {"0": LearnedCell(width=64)}, stripes, limit=100)
    with pytest.raises(BranchError, match="can be searched, and not inside other branches"):
        find(maps, {"0": Cascade(branch=Learned())}, stripes)
    with pytest.raises(TrainingError, match=r"a budget of 32 samples ends within the warm-up \(25 %"):
        find(maps, {"0": Learned()}, stripes, StructureSpec(samples=32, batch_size=32))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        find(maps, {"0": LearnedCell(width=4)}, stripes, StructureSpec(samples=4000, cell_rate=1e30))


def test_lack_of_memory_is_an_error_with_the_fix(stripes, maps, monkeypatch):
    def forward(self, x):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(Patches, "forward", forward)
    greedy = backbone_of(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), Rows(), nn.Flatten(), nn.Linear(64, CLASSES))
    greedy.module[0] = Patches()
    with pytest.raises(OutOfMemoryError, match="batch_size=16; set a smaller batch_size"):
        find(greedy, {"1": Learned()}, stripes)
