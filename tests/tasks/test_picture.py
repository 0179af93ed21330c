"""Pictures of every kind made ready: against Pillow's own plain steps, from paths and from arrays."""

import os
import socket
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from eenas.errors import PictureError
from eenas.escaping import one_line
from eenas.tasks.images import picture
from eenas.tasks.images.frame import FITS, Frame
from eenas.tasks.images.picture import prepare_picture
from eenas.tasks.images.pixels import fit_images


def smooth(height, width, channels=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    image = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return image if channels == 3 else image[..., 0]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(8, 8), (32, 128), (97, 31), (7, 300)])
@pytest.mark.parametrize("size", [(16, 16), (32, 128), (40, 12)])
def test_training_arrays_and_the_runtime_agree(fit, shape, size):
    image, frame = smooth(*shape), Frame(*size, fit)
    trained = fit_images(torch.from_numpy(image).permute(2, 0, 1)[None], frame)[0].numpy()
    shown = prepare_picture(image, frame, 3)
    assert shown.shape == trained.shape == (3, *size)
    assert np.abs(shown.astype(int) - trained).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_the_exif_orientation_is_applied(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(smooth(20, 30))
    image.save(tmp_path / f"a.{ending}", exif=exif)
    with Image.open(tmp_path / f"a.{ending}") as saved:
        upright = ImageOps.exif_transpose(saved).convert("RGB")
    shown = prepare_picture(tmp_path / f"a.{ending}", Frame(upright.height, upright.width), 3)
    assert np.array_equal(np.moveaxis(shown, 0, 2), np.asarray(upright))
    assert upright.size == ((20, 30) if orientation >= 5 else (30, 20))


def glyph(mode):
    """A black square in the middle of a transparent picture, whose hidden colour is black, too."""
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    if mode in ("RGBA", "LA"):
        planes = np.zeros((8, 8, 3 if mode == "RGBA" else 1), np.uint8)
        return Image.fromarray(np.concatenate([planes, alpha[..., None]], axis=2)), {}
    picture = Image.fromarray((alpha == 0).astype(np.uint8), "L")
    if mode == "P":
        picture = picture.convert("P")
        picture.putpalette([0, 0, 0, 9, 9, 9])
        return picture, {"transparency": bytes([255, 0])}
    if mode == "RGB":
        return picture.convert("RGB"), {"transparency": (1, 1, 1)}
    return picture.point([0, 7] + [0] * 254), {"transparency": 7}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparent_parts_become_white(tmp_path, mode):
    image, options = glyph(mode)
    image.save(tmp_path / "glyph.png", **options)
    for channels in (1, 3):
        shown = prepare_picture(tmp_path / "glyph.png", Frame(8, 8), channels)
        assert (shown[:, 2:6, 2:6] == 0).all()
        assert (shown[:, :2] == 255).all()


def test_half_transparent_pixels_are_half_white():
    grey = np.zeros((4, 4, 4), np.uint8)
    grey[..., 3] = 128
    assert np.unique(prepare_picture(grey, Frame(4, 4), 3)).tolist() == [127]


@pytest.mark.parametrize(("white", "top"), [(4095, 255), (None, 16), (65535, 16)])
def test_more_than_8_bits_are_scaled_by_their_white(tmp_path, white, top):
    levels = np.linspace(0, 4095, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    shown = prepare_picture(tmp_path / "deep.png", Frame(8, 8), 1, white)
    assert shown.max() == top
    assert np.abs(shown[0] - levels * (255 / (white or 65535))).max() <= 0.5


def test_the_mode_i_and_floats(tmp_path):
    levels = np.arange(64, dtype=np.int32).reshape(8, 8) * 4
    Image.fromarray(levels).save(tmp_path / "i.tif")
    assert np.array_equal(prepare_picture(tmp_path / "i.tif", Frame(8, 8), 1, 255)[0], levels)
    Image.fromarray(levels.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(PictureError, match=r"f\.tif: an image of floats"):
        prepare_picture(tmp_path / "f.tif", Frame(8, 8), 1)


def test_what_is_padded_is_grey():
    shown = prepare_picture(np.zeros((4, 16, 3), np.uint8), Frame(16, 16, "pad"), 3)
    assert (shown[:, 6:10] == 0).all()
    assert (shown[:, :6] == 128).all()
    assert (shown[:, 10:] == 128).all()


def test_bytes_images_and_arrays_are_the_same_picture(tmp_path):
    image = smooth(20, 30)
    Image.fromarray(image).save(tmp_path / "a.png")
    paths = [str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), Image.fromarray(image), image]
    shown = [prepare_picture(each, Frame(16, 24), 3) for each in paths]
    assert all(np.array_equal(each, shown[0]) for each in shown)
    many = np.concatenate([image, image[..., :2]], axis=2)
    assert np.array_equal(prepare_picture(many, Frame(16, 24), 5)[:3], shown[0])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 4), np.float32), "uint8"),
        (np.zeros((4,), np.uint8), "uint8"),
        (np.zeros((0, 4), np.uint8), "uint8"),
        (np.zeros((4, 4, 5), np.uint8), "the network takes images of 3 channels, got one of 5"),
        (b"nonsense", "unknown image format"),
        ("nowhere.png", r"^nowhere\.png: no such file; give the path of an image$"),
        (3, "got int"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(source, words):
    with pytest.raises(PictureError, match=words) as caught:
        prepare_picture(source, Frame(8, 8), 3)
    assert "\n" not in str(caught.value)


def test_pipes_sockets_and_folders_are_not_waited_on(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))
        for name in ("pipe", "folder", "loop", "socket"):
            with pytest.raises(PictureError, match=f"{name}.png: "):
                prepare_picture(tmp_path / f"{name}.png", Frame(8, 8), 3)


def test_giant_pictures_are_refused_and_small_ones_do_not_warn(tmp_path, monkeypatch):
    Image.new("L", (3000, 3000)).save(tmp_path / "a.png")
    Image.new("L", (3000, 3000)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(picture, "MOST_PIXELS", 1_000_000)
    monkeypatch.setattr(picture, "DRAFT_PIXELS", 10_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(PictureError, match=r"a\.png: 3,000 x 3,000 pixels are more than 1,000,000"):
            prepare_picture(tmp_path / "a.png", Frame(8, 8), 1)
        assert prepare_picture(tmp_path / "a.jpg", Frame(8, 8), 1).shape == (1, 8, 8)  # decoded at an eighth
    assert not caught
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match=r"a\.jpg: .*decompression bomb"):
        prepare_picture(tmp_path / "a.jpg", Frame(8, 8), 1)


def test_large_jpegs_are_decoded_at_twice_the_frame_or_more(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "DRAFT_PIXELS", 10_000)
    image = Image.fromarray(smooth(600, 800))
    image.save(tmp_path / "a.jpg", quality=95)
    shown = prepare_picture(tmp_path / "a.jpg", Frame(50, 50), 3).astype(int)
    slow = prepare_picture(image, Frame(50, 50), 3)
    assert np.abs(shown - slow).max() <= 6
    assert np.abs(shown - slow).mean() < 1


def test_names_can_be_printed():
    assert one_line("caf\u00e9 [cat] ") == "caf\u00e9 [cat] "
    assert one_line("a\x1b[31m\nb\u202e") == "a\\x1b[31m\\nb\\u202e"
    assert one_line(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
