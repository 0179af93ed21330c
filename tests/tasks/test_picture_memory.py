"""The memory that a picture takes is told by its header, and bounded; large ones are flattened strip by strip."""

import numpy as np
import pytest
from PIL import Image

from eenas.errors import PictureError
from eenas.tasks.images import picture, picture_memory
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.image_files import read_headers
from eenas.tasks.images.picture import image_endings, opened, prepare_picture
from eenas.tasks.images.picture_memory import decoded_bytes

W, H = 71, 53
MODES = ("1", "L", "P", "LA", "RGBA", "RGB", "CMYK", "I;16", "I", "YCbCr", "HSV", "PA", "La", "RGBa")


def drawn(mode):
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 255, (H, W, 4), dtype=np.uint8))
    if mode in ("I", "I;16"):
        deep = Image.fromarray(np.asarray(colours.convert("L")).astype(np.uint16) * 251)
        return deep.convert(mode) if mode == "I" else deep
    by_way_of = {"PA": "P", "La": "LA", "HSV": "RGB", "YCbCr": "RGB"}
    image = (colours.convert(by_way_of[mode]) if mode in by_way_of else colours).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    return image


@pytest.mark.parametrize("mode", MODES)
def test_strips_make_the_picture_that_is_made_at_once(mode, monkeypatch):
    image, frame = drawn(mode), Frame(20, 30)
    for turn in range(1, 9):
        image.getexif()[0x0112] = turn
        for channels in (1, 3):
            monkeypatch.setattr(picture, "_STRIP", 1 << 20)
            whole = prepare_picture(image, frame, channels)
            monkeypatch.setattr(picture, "_STRIP", 200)
            assert np.array_equal(prepare_picture(image, frame, channels), whole)


def each(file):
    with opened(file) as image:
        return decoded_bytes(image, image.size) / (image.width * image.height)


def test_the_memory_of_formats_differs(tmp_path):
    image = Image.new("RGBA", (64, 64))
    for ending, count in (("png", 9), ("webp", 24), ("avif", 24), ("jp2", 28), ("bmp", 9), ("dds", 17)):
        if f".{ending}" in image_endings():  # Pillow reads AVIF since 11.3
            image.save(tmp_path / f"a.{ending}")
            assert each(tmp_path / f"a.{ending}") == count
    image.convert("RGB").save(tmp_path / "a.jpg")
    assert each(tmp_path / "a.jpg") == 9 + 6, "the coefficients of a progressive file"
    with opened(tmp_path / "a.jpg") as opened_image:
        assert decoded_bytes(opened_image, (640, 640)) == 64 * 64 * 9 + 640 * 640 * 6


def test_strips_and_tiles_of_a_tiff_count(tmp_path):
    image = Image.new("RGBA", (64, 64))
    image.save(tmp_path / "a.tif", compression="tiff_lzw", strip_size=1 << 20)
    assert each(tmp_path / "a.tif") == 9 + 4
    with opened(tmp_path / "a.tif") as tiled:
        tiled.tag_v2[322] = tiled.tag_v2[323] = 4096
        assert decoded_bytes(tiled, tiled.size) == 9 * 64 * 64 + 4 * 4096 * 4096


def test_what_takes_more_than_is_allowed_is_refused_by_its_header(tmp_path, monkeypatch):
    Image.new("RGBA", (64, 64)).save(tmp_path / "a.webp")
    Image.new("RGBA", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(picture, "MOST_BYTES", 64 * 64 * 23)
    refused, taken = read_headers([tmp_path / "a.webp", tmp_path / "a.png"])
    match = "64 x 64 pixels as WEBP take up to 98,304 bytes, more than 94,208; make it smaller, or save it as PNG"
    assert match in refused
    assert not isinstance(taken, str)
    with pytest.raises(PictureError, match=match):
        prepare_picture(tmp_path / "a.webp", Frame(8, 8), 3)


def test_the_most_pixels_of_common_formats_are_within_the_memory():
    assert picture.MOST_PIXELS * 9 < picture_memory.MOST_BYTES < 1_000_000_000


def test_colours_that_pillow_cannot_turn_are_refused_by_the_header(tmp_path):
    """It decodes them, and failed in training."""
    Image.frombytes("LAB", (8, 8), bytes(8 * 8 * 3)).save(tmp_path / "a.tif")
    assert "a.tif: an image in CIELAB" in read_headers([tmp_path / "a.tif"])[0]
