"""The headers of picture files: nothing is decoded for them, whatever the format, and too large ones are refused."""

import struct
import warnings
import zlib

import pytest
from PIL import Image, ImageFile

from eenas.errors import PictureError, TaskError
from eenas.tasks.images import picture
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.image_files import Header, read_headers
from eenas.tasks.images.picture import image_endings, prepare_picture
from eenas.tasks.images.picture_check import check_files
from tests.tasks.test_folder import fill

MODES = ("RGB", "L", "P", "1", "RGBA", "LA", "I;16")


def large_png(side):
    """A PNG file that claims `side` x `side` pixels in colour with opacity, and holds none of them."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def nothing_decoded(monkeypatch):
    """Any decoding fails the test."""

    def refused(*given, **options):
        pytest.fail("a picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refused)
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", refused)
    monkeypatch.setattr(Image, "_getdecoder", refused)
    monkeypatch.setattr(Image.Image, "frombytes", refused)


def test_nothing_is_decoded_of_any_format_that_can_be_written(tmp_path, request):
    made = []
    for ending in image_endings():
        for mode in MODES:
            file = tmp_path / f"{mode.replace(';', '')}{ending}"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Pillow announces the end of some writers
                    Image.new(mode, (12, 9)).save(file)
            except (KeyError, OSError, ValueError, TypeError):  # no writer, or none for this mode
                file.unlink(missing_ok=True)
                continue
            made.append(file)
    assert len({file.suffix for file in made}) >= 20
    request.getfixturevalue("nothing_decoded")
    headers = read_headers(made)
    assert [each for each in headers if not isinstance(each, Header)] == []
    assert {(each.width, each.height) for each in headers} == {(12, 9)}


def test_files_that_claim_more_pixels_than_are_read_are_refused_by_their_header(tmp_path, request):
    root = fill(tmp_path / "pets")
    (root / "cat" / "large.png").write_bytes(large_png(13_300))
    request.getfixturevalue("nothing_decoded")
    match = r"large\.png: 13,300 x 13,300 pixels are more than 67,108,864; make it smaller; .*--skip-bad"
    with pytest.raises(TaskError, match=match):
        folder_task(root)


def test_large_jpegs_are_taken_by_their_header_as_far_as_they_can_be_decoded_smaller(tmp_path, monkeypatch):
    Image.new("L", (1600, 800)).save(tmp_path / "a.jpg")
    Image.new("L", (1600, 800)).save(tmp_path / "a.png")
    monkeypatch.setattr(picture, "DRAFT_PIXELS", 10_000)
    monkeypatch.setattr(picture, "MOST_PIXELS", 400 * 200)
    taken, refused = read_headers([tmp_path / "a.jpg", tmp_path / "a.png"])
    assert (taken.width, taken.height) == (1600, 800)
    assert "a.png: 1,600 x 800 pixels are more than 80,000; make it smaller" in refused
    assert check_files(tmp_path, [tmp_path / "a.jpg"], [taken]) == [-1]


@pytest.mark.parametrize("ending", ["ico", "icns"])
def test_icons_are_not_read_under_any_name(tmp_path, ending, nothing_decoded):
    """Pillow decodes the first while it opens it, and the second's pictures are of other sizes than it claims."""
    (tmp_path / "a.png").write_bytes(icon(ending))
    assert f".{ending}" not in image_endings()
    assert "a.png: a corrupt image (unknown image format)" in read_headers([tmp_path / "a.png"])[0]
    with pytest.raises(PictureError, match="unknown image format"):
        prepare_picture(tmp_path / "a.png", Frame(8, 8), 3)


def icon(kind):
    inside = large_png(16)
    if kind == "ico":
        return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22) + inside
    entry = b"icp4" + struct.pack(">I", 8 + len(inside)) + inside
    return b"icns" + struct.pack(">I", 8 + len(entry)) + entry


def test_postscript_is_not_run_under_another_name(tmp_path):
    assert ".eps" not in image_endings()
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "EPS"
    with pytest.raises(PictureError, match="unknown image format"):
        prepare_picture(tmp_path / "a.png", Frame(8, 8), 3)
