"""Carried columns: cut points of a masked network, its chain at every length, and what hooks and messages say."""

import pytest
import torch
from torch import nn

from eenas.backbones.carried import CarryingModule, Packer, carrier_of
from eenas.backbones.chain import Chain
from eenas.backbones.cut_points import find_cut_points
from eenas.backbones.detours import cut_points_of
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import load_backbone
from eenas.errors import BackboneError, CutError
from eenas.progress import silent
from tests.token_sets import PAD, WORDS, TokenNet, TokenTransform, token_net

NAMES = ("layers.0", "layers.1", "layers.2")


def ids(*lengths):
    """Texts [N, most] of these lengths, padded."""
    found = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        found[row, :length] = torch.randint(2, WORDS, (length,), generator=torch.Generator().manual_seed(length))
    return found


@pytest.fixture(scope="module")
def loaded():
    return load_backbone(token_net(), num_classes=3, inputs=TokenTransform().inputs)


@pytest.fixture(scope="module")
def chain(loaded):
    return Chain.built_from(loaded.module, loaded.example(), NAMES)


def test_its_cut_points_are_the_ends_of_layers_with_a_mask(loaded):
    assert tuple(point.name for point in loaded.cut_points) == NAMES
    assert {point.shape for point in loaded.all_cut_points} == {FeatureShape((12, 17), is_set=True, carried=1)}
    shape = loaded.cut_points[0].shape
    assert (shape.channels, shape.tokens, shape.elements, shape.patches) == (16, 12, 12 * 17, None)
    assert shape.example(3)[:, :, 16].eq(1).all()


def test_a_classifier_of_the_first_token_makes_it_a_class_token():
    points = find_cut_points(TokenNet(first=True), TokenTransform().example())
    assert {(point.shape.prefix_tokens, point.shape.class_token) for point in points} == {(1, True)}


def test_the_chain_gives_the_same_logits_at_any_length_and_batch(loaded, chain):
    assert [segment.varying for segment in chain.segments] == [(1,)] * 4
    module = loaded.module.eval()
    for texts in (ids(5), ids(20, 3, 7), ids(12, 12, 1, 2)):
        assert torch.allclose(chain(texts), module(texts), atol=1e-6)
    assert chain.prefix(0)(ids(5, 2)).shape == (2, 5, 17)


def test_samples_can_leave_between_segments(loaded, chain):
    texts = ids(9, 4, 2)
    rest = chain.segments[1](chain.segments[0](texts)[[2, 0]])
    for segment in chain.segments[2:]:
        rest = segment(rest)
    assert torch.allclose(rest, loaded.module.eval()(texts)[[2, 0]], atol=1e-6)


def test_the_packer_packs_what_travels(loaded):
    module, found = loaded.module, []
    with Packer(module) as packer:
        handle = module.layers[0].register_forward_hook(lambda part, given, output: found.append(packer(output)))
        module(ids(4, 2))
        handle.remove()
        assert packer.features(found[0], found[0][..., :16]).shape == (2, 4, 16)
    assert torch.equal(found[0][:, :, 16], torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]]))
    plain = nn.Linear(2, 2)
    with Packer(plain) as packer:
        assert packer(texts := torch.ones(2, 2)) is texts
    assert carrier_of(plain) is None


class Floats(CarryingModule):
    """Points [N, P, 3] whose last number is the mask, which is also used without `carry` if `bypassed`."""

    def __init__(self, *, bypassed=False, vectors=False, lengths=True, silent=False):
        super().__init__()
        self.carry = Last()
        self.bypassed, self.vectors, self.silent = bypassed, vectors, silent
        self.length = None if lengths else 8
        self.first, self.second, self.third = nn.Linear(2, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        mask = x[:, :, 2:] if self.silent else self.carry(x)
        features = self.first(x[:, :, :2]).relu()
        if self.length:
            features = features.view(-1, self.length, 6)
        features = self.second(features * mask).relu()
        mask = x[:, :, 2:] if self.bypassed else mask
        pooled = (features * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        pooled = self.third(pooled).relu()
        return self.head(pooled * mask.sum(dim=1) if self.vectors else pooled)


class Last(nn.Module):
    def forward(self, x):
        return x[:, :, 2:]


def points(batch=2):
    found = torch.randn(batch, 8, 3, generator=torch.Generator().manual_seed(0))
    found[:, :, 2] = 1
    found[0, 5:, 2] = 0
    return found


def test_a_pooled_vector_travels_alone():
    module = Floats()
    found = cut_points_of(module, points(), "it", silent)
    assert [(point.name, point.shape.carried) for point in found] == [("first", 1), ("second", 1), ("third", 0)]
    chain = Chain.built_from(module, points(), [point.name for point in found])
    assert torch.allclose(chain(points(5)[:, :6]), module.eval()(points(5)[:, :6]), atol=1e-6)
    assert [segment.varying for segment in chain.segments] == [(1,), (1,), (1,), ()]


def test_what_a_vector_would_have_to_carry_is_no_cut_point():
    heard = []
    found = cut_points_of(Floats(vectors=True), points(), "it", heard.append)
    assert [point.name for point in found] == ["first", "second"]
    assert "cannot be cut after 'third'" in str(heard[0])


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Floats(bypassed=True), "depends on more than the cut point before it"),
        (Floats(lengths=False), r"does not run on a batch of \[3, 4, 3\]|must run on any length"),
        (Floats(silent=True), r"'carry' runs 0 times|must call its `carry`"),
    ],
)
def test_what_breaks_the_rules_is_refused(module, message):
    with pytest.raises(CutError, match=message):
        Chain.built_from(module, points(), ["first", "second"])


def test_one_module_carries():
    with pytest.raises(BackboneError, match="at most one CarryingModule, got 2"):
        carrier_of(nn.Sequential(Floats(), Floats()))


@pytest.mark.parametrize(
    ("dims", "more"), [((4, 3), {"carried": 3}), ((3,), {"carried": 3}), ((3, 4, 4), {"carried": 1})]
)
def test_carried_columns_belong_to_tokens_series_and_vectors(dims, more):
    with pytest.raises(CutError, match="carried columns belong to tokens, series and vectors"):
        FeatureShape(dims, **more)


def test_shapes_say_nothing_of_columns_that_are_not_there():
    assert "carried" not in FeatureShape((4, 3)).to_table()
    assert FeatureShape((4, 3), carried=1).to_table()["carried"] == 1
    series = FeatureShape((4, 9), carried=1, is_series=True)
    assert (series.channels, series.places) == (3, (9,))
    assert series.example()[:, 3].eq(1).all()
