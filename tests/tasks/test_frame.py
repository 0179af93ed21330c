"""Frames: what of a picture is shown, by slow arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.tasks.images.frame import FITS, Frame, canonical_size

SIDES = st.integers(1, 400)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(FITS))
def test_every_picture_fits_into_every_frame(width, height, wide, tall, fit):
    frame = Frame(tall, wide, fit)
    place = frame.place(width, height)
    left, top, right, bottom = place.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert place.at[0] >= 0
    assert place.at[0] + place.width <= wide
    assert place.at[1] >= 0
    assert place.at[1] + place.height <= tall
    if fit == "crop":
        assert (place.width, place.height) == (wide, tall)
        assert right - left == width or bottom - top == height
        difference = abs((right - left) * tall - (bottom - top) * wide)
        assert difference <= max(tall, wide) or 1 in (right - left, bottom - top)
    else:
        assert place.box == (0, 0, width, height)
        assert frame.cut(width, height) == 0
    if fit == "pad":
        assert place.width == wide or place.height == tall


def test_a_square_frame_shows_the_largest_centred_square():
    assert Frame(32, 32).place(10, 13).box == (0, 1, 10, 11)
    assert Frame(32, 32).cut(128, 32) == 0.75
    assert Frame(32, 128).cut(128, 32) == 0


@pytest.mark.parametrize("size", [0, -3, (3,), (3, 0), (1, 2, 3), (2.5, 3), True, (True, 2)])
def test_what_is_no_size_is_refused(size):
    with pytest.raises((ValueError, TypeError)):
        canonical_size(size)


def test_a_square_is_one_number():
    assert canonical_size((8, 8)) == canonical_size(8) == 8
    assert canonical_size((8, 9)) == (8, 9)
