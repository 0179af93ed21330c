"""Specifications of inputs: tables both ways, what agrees, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import SpecError, TaskError
from eenas.tasks.images.image_input import fit_of, image_input, resized, size_of, white_of
from eenas.tasks.inputs import Axis, InputSpec, TensorSpec
from eenas.tasks.series.series_input import series_input

SERIES = series_input(3, 96)
sides = st.integers(1, 5000)
specs = st.one_of(
    st.builds(
        image_input,
        st.one_of(st.none(), sides, st.tuples(sides, sides)),
        st.one_of(st.none(), st.integers(1, 9)),
        st.sampled_from(["crop", "pad", "stretch"]),
        st.one_of(st.none(), st.integers(255, 70000)),
    ),
    st.builds(series_input, sides, sides),
)


@given(inputs=specs)
def test_tables_are_read_back_without_loss(inputs: InputSpec) -> None:
    again = InputSpec.from_table(inputs.to_table())
    assert again == inputs
    assert hash(again) == hash(inputs)
    assert inputs.agrees(again)


def test_text() -> None:
    assert str(SERIES) == "series: float32 [channel 3, time 96]"
    assert str(image_input(None, 3)) == "images: uint8 [channel 3, height any, width any]"


def test_what_is_open_agrees_with_everything_of_its_kind() -> None:
    assert image_input(None).agrees(image_input((8, 9), 3))
    assert image_input(8, 3).agrees(image_input(8, 3, "pad", 1023))
    assert not image_input(8, 3).agrees(image_input(8, 1))
    assert not image_input(8).agrees(image_input((8, 9)))
    assert not SERIES.agrees(series_input(3, 95))
    assert not SERIES.agrees(image_input(8))


def test_axes_by_name() -> None:
    assert (SERIES.size("channel"), SERIES.size("time")) == (3, 96)
    assert SERIES.with_size("channel", 5) == series_input(5, 96)
    with pytest.raises(SpecError, match="no axis 'tim'; nearest: 'time'"):
        SERIES.size("tim")


def test_images_by_size_fit_and_white() -> None:
    found = image_input((32, 128), 3, "pad", 1023)
    assert (size_of(found), fit_of(found), white_of(found)) == ((32, 128), "pad", 1023)
    assert resized(found, 8) == image_input(8, 3, "pad", 1023)
    assert size_of(image_input((7, 7))) == 7
    assert size_of(SERIES) is None
    for size in (0, (8, 0), (8, 8, 8)):
        with pytest.raises(TaskError, match="a positive size in pixels"):
            image_input(size)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"kind": "smells", "tensors": SERIES.to_table()["tensors"]},
        {"kind": "series", "tensors": {}},
        {"kind": "series", "tensors": {"series": {"dtype": "float32", "axes": []}}},
        {"kind": "series", "tensors": {"series": {"dtype": "complex64", "axes": [["time", 3]]}}},
        {"kind": "series", "tensors": {"series": {"dtype": "float32", "axes": [["time", -3]]}}},
        {"kind": "series", "tensors": {"series": {"dtype": "float32", "axes": [["time", True]]}}},
        {**SERIES.to_table(), "more": 1},
        {**SERIES.to_table(), "options": {"fit": [1]}},
        [],
    ],
)
def test_other_tables_are_refused_in_one_line(table: object) -> None:
    with pytest.raises(SpecError, match="input") as caught:
        InputSpec.from_table(table, file="eenas.json", key="inputs")  # type: ignore[arg-type]
    assert str(caught.value).startswith("eenas.json: [inputs")
    assert "\n" not in str(caught.value)


def test_axes_and_types_are_checked_at_birth() -> None:
    with pytest.raises(SpecError, match="needs a name"):
        Axis("")
    with pytest.raises(SpecError, match="one of uint8, int64, float32, got 'half'"):
        TensorSpec("half", (Axis("time"),))
