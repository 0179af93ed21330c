"""Designs: JSON both ways, digests that say what is equal, errors that name file and key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.branches.branch import Branch
from eenas.branches.registry import FAMILIES, branch_from_sizes
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.errors import DesignError, EenasError
from eenas.tasks.images.image_input import image_input
from eenas.tasks.series.series_input import series_input


def branches() -> st.SearchStrategy[Branch]:
    return st.builds(
        branch_from_sizes,
        st.sampled_from([name for name in FAMILIES if not name.startswith("learned")]),
        width=st.sampled_from([8, 16, 64]),
        layers=st.integers(1, 3),
        pool=st.sampled_from(["avg", "max", "mixed"]),
    )


def designs() -> st.SearchStrategy[Design]:
    def placed(items: list[Branch]) -> tuple[Placed, ...]:
        return tuple(Placed(cut_point=f"block{i}", branch=branch) for i, branch in enumerate(items))

    training = st.builds(
        TrainingChoice,
        loss_weights=st.sampled_from(["equal", "linear", "branchy", "cost", "sdn_ramp", "uncertainty"]),
        gradient_equilibrium=st.booleans(),
        optimizer=st.sampled_from(["sgd", "adamw"]),
        learning_rate=st.floats(1e-6, 10),
        backbone_rate=st.floats(0, 1),
    )
    policy = st.builds(
        PolicyChoice,
        score=st.sampled_from(["max_softmax", "entropy", "margin"]),
        target_macs=st.floats(0.01, 1),
        per_exit=st.booleans(),
    )
    return st.builds(
        Design,
        backbone=st.text(min_size=1, max_size=8),
        num_classes=st.integers(2, 1000),
        inputs=st.one_of(st.integers(1, 512).map(image_input), st.just(series_input(3, 40))),
        branches=st.lists(branches(), max_size=4).map(placed),
        training=training,
        policy=policy,
        provenance=st.dictionaries(st.text(max_size=4), st.lists(st.text(max_size=4), max_size=2), max_size=2),
    )


@given(design=designs())
def test_json_both_ways_without_loss(design: Design) -> None:
    again = Design.from_json(design.to_json())
    assert again == design
    assert again.digest == design.digest
    assert again.to_json() == design.to_json()


@given(design=designs())
def test_canonical_once_is_canonical_for_ever(design: Design) -> None:
    canonical = design.canonical()
    assert canonical.canonical() == canonical
    assert canonical.digest == design.digest
    assert canonical.architecture_digest == design.architecture_digest


def example(**changes: object) -> Design:
    fc = Placed(cut_point="layer1", branch=branch_from_sizes("fc", width=1, layers=1, pool="avg"))
    values = {"backbone": "resnet", "num_classes": 10, "inputs": image_input(32), "branches": (fc,)}
    return Design(**{**values, **changes})  # type: ignore[arg-type]


def test_label() -> None:
    assert example().label() == "layer1 fc"
    assert example(branches=()).label() == "no branch"


def test_digests_are_stable() -> None:
    plain = example(branches=())
    assert (plain.digest, plain.architecture_digest) == ("fdbf517dccacfc42", "11c96a469941963c")


def test_the_size_of_images_is_read_as_version_0_1_wrote_it_and_has_the_same_digest() -> None:
    table = example(inputs=image_input((32, 64), 3, "pad")).to_table()
    older = {**{name: value for name, value in table.items() if name != "inputs"}, "input_size": [32, 64]}
    found = Design.from_table(older)
    assert found.inputs == image_input((32, 64))
    assert found.digest == Design.from_table(table).digest == example(inputs=image_input((32, 64))).digest
    assert found.digest != example().digest


def test_series_of_other_lengths_are_other_designs() -> None:
    one, two = (example(inputs=series_input(3, length)) for length in (40, 41))
    assert one.digest != two.digest
    assert one.architecture_digest != two.architecture_digest


def test_digest_covers_training_and_not_provenance() -> None:
    design = example()
    other = example(training=TrainingChoice(learning_rate=0.5), provenance={"repairs": ["one"]})
    assert design.digest != other.digest
    assert design.architecture_digest == other.architecture_digest
    assert design.digest == example(provenance={"repairs": ["one"]}).digest


def test_values_without_effect_do_not_change_the_digest() -> None:
    silent = {"training": TrainingChoice(loss_weights="cost", gradient_equilibrium=True)}
    silent_policy = PolicyChoice(score="entropy", target_macs=0.3, per_exit=True)
    assert example(branches=(), policy=silent_policy, **silent).digest == example(branches=()).digest
    assert example(policy=PolicyChoice(per_exit=True)).digest == example().digest
    assert example(**silent).digest != example().digest


def test_whole_numbers_and_floats_have_one_digest() -> None:
    assert (
        example(training=TrainingChoice(backbone_rate=1)).digest
        == example(training=TrainingChoice(backbone_rate=1.0)).digest
    )


def test_provenance_is_copied_and_plain() -> None:
    repairs = ("one", "two")
    design = example(provenance={"repairs": repairs})
    assert design.provenance == {"repairs": ["one", "two"]}
    with pytest.raises(DesignError, match="plain JSON"):
        example(provenance={"repairs": {1, 2}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 1}, "num_classes must be a whole number of at least 2, got 1"),
        ({"inputs": image_input(None)}, "the images of a design have a size, got one that is open"),
        ({"branches": example().branches * 2}, "got two at 'layer1'"),
    ],
)
def test_refuses_what_no_backbone_has(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        example(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingChoice(loss_weights="equl"), "training.loss_weights: unknown value 'equl'; nearest: 'equal'"),  # type: ignore[arg-type]
        (lambda: TrainingChoice(learning_rate=0), "learning_rate must be above 0"),
        (lambda: TrainingChoice(learning_rate=float("inf")), "finite number"),
        (lambda: TrainingChoice(backbone_rate=-1), "backbone_rate must not be negative"),
        (lambda: TrainingChoice(label_smoothing=1), r"label_smoothing must be in \[0, 1\)"),
        (lambda: PolicyChoice(score="maxsoft"), "policy.score: unknown value"),  # type: ignore[arg-type]
        (lambda: PolicyChoice(target_macs=1.5), r"in \(0, 1\], got 1.5"),
    ],
)
def test_refuses_choices_that_nothing_can_use(make: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        make()  # type: ignore[operator]


def _broken(**changes: object) -> str:
    return json.dumps({**example().to_table(), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "mine.json: not valid JSON"),
        ("[]", "mine.json: a design must be a table"),
        (_broken(format=2), "format 2, this eenas reads 1"),
        (_broken(brnches=[]), r"mine.json: \[brnches\]: unknown key; nearest: 'branches'"),
        ('{"backbone": "a"}', "'num_classes' is missing"),
        ('{"backbone": "a", "num_classes": 2}', "'inputs' is missing"),
        (
            '{"backbone": "a", "num_classes": 2, "input_size": 0}',
            r"\[input_size\]: must be a whole number of at least 1",
        ),
        (
            _broken(inputs={"kind": "smells", "tensors": {"x": {"dtype": "float32", "axes": [["strength", 3]]}}}),
            r"mine.json: \[inputs\]: an input is one of images, series, text, graphs, got 'smells'",
        ),
        (_broken(backbone=3), r"\[backbone\]: must be text, got 3"),
        (_broken(branches={}), r"\[branches\]: must be a list"),
        (_broken(branches=[{"cut_point": "a"}]), r"\[branches.0.branch\]: must be a table"),
        (_broken(branches=[{"cut_point": "a", "at": 1}]), r"\[branches.0.at\]: unknown key"),
        (_broken(branches=[{"cut_point": "a", "branch": {"kind": "ffc"}}]), "ffc"),
        (_broken(training={"learning_rte": 1}), r"mine.json: \[training.learning_rte\]: unknown key"),
        (_broken(policy={"target_macs": 7}), "mine.json"),
        (_broken(provenance=[]), r"\[provenance\]: must be a table"),
        (_broken(num_classes="ten"), "mine.json: num_classes must be a whole number"),
    ],
)
def test_broken_files_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(EenasError, match=message):
        Design.from_json(text, file="mine.json")
