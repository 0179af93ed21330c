"""Pictures of more than 8 bits a channel: every format that Pillow reads them from is known as one by its header."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.image_files import read_headers

W, H = 6, 4


def png(top, channels):
    """A PNG file of 16 bits, whose values are `top` and whose opacity is full."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.full((H, W, channels), top, ">u2")
    if channels in (2, 4):
        rows[:, :, -1] = 65535
    head = struct.pack(">IIBBBBB", W, H, 16, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(top, channels, *, planes=1, packed=False):
    """A TIFF file of 16 bits: colour or inks."""
    parts = [np.full(W * H * channels // planes, top, "<u2").tobytes() for _ in range(planes)]
    parts = [zlib.compress(part) if packed else part for part in parts]
    tags = {256: [W], 257: [H], 258: [16] * channels, 259: [8 if packed else 1], 262: [{3: 2, 4: 5, 1: 1}[channels]]}
    tags |= {273: [0] * planes, 277: [channels], 278: [H], 279: list(map(len, parts)), 284: [2 if planes > 1 else 1]}
    at = 8 + 2 + 12 * len(tags) + 4
    rest = b""
    entries = b""
    for tag, values in tags.items():
        if tag == 273:
            values = [at + len(rest) + sum(map(len, parts[:k])) for k in range(planes)]
            rest += b"".join(parts)
        data = struct.pack(f"<{len(values)}I", *values)
        if len(data) > 4:
            data, rest = struct.pack("<I", at + len(rest)), rest + data
        entries += struct.pack("<HHI", tag, 4, len(values)) + data
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + rest


def sgi(top, channels):
    head = struct.pack(">hBBHHHH", 474, 0, 2, 3 if channels > 1 else 2, W, H, channels).ljust(512, b"\0")
    return head + np.full(W * H * channels, top, ">u2").tobytes()


def ppm(top, channels):
    return b"P%d %d %d 65535\n" % (5 if channels == 1 else 6, W, H) + np.full(W * H * channels, top, ">u2").tobytes()


def plain_ppm(top, channels):
    return b"P3 %d %d 65535\n" % (W, H) + b"%d " % top * (W * H * channels)


CLIPPED = {
    "colour.png": lambda top: png(top, 3),
    "grey-opacity.png": lambda top: png(top, 2),
    "colour-opacity.png": lambda top: png(top, 4),
    "colour.tif": lambda top: tiff(top, 3),
    "packed.tif": lambda top: tiff(top, 3, packed=True),
    "packed-planes.tif": lambda top: tiff(top, 3, planes=3, packed=True),
    "inks.tif": lambda top: tiff(top, 4),
    "colour.sgi": lambda top: sgi(top, 3),
    "grey.sgi": lambda top: sgi(top, 1),
    "colour.ppm": lambda top: ppm(top, 3),
    "plain.ppm": lambda top: plain_ppm(top, 3),
}
WHOLE = {
    "grey.png": lambda top: png(top, 1),
    "grey.tif": lambda top: tiff(top, 1),
    "packed-grey.tif": lambda top: tiff(top, 1, packed=True),
    "grey.pgm": lambda top: ppm(top, 1),
}


def data(tmp_path, name, content):
    for folder in ("cat", "dog"):
        (tmp_path / folder).mkdir()
        for number in range(6):
            (tmp_path / folder / f"{number}-{name}").write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("name", CLIPPED)
def test_twelve_bits_in_sixteen_are_refused_where_pillow_hands_out_the_upper_eight(tmp_path, name):
    root = data(tmp_path, name, CLIPPED[name](4095))
    with pytest.raises(TaskError, match=r"12 images have 16 bits a channel and use 1[23] of them, but"):
        folder_task(root)


@pytest.mark.parametrize("name", CLIPPED)
def test_sixteen_bits_of_sixteen_are_taken_and_said(tmp_path, name):
    task = folder_task(data(tmp_path, name, CLIPPED[name](40_000)))
    assert any("12 images have more than 8 bits a channel: 65,535 becomes white" in text for text in task.notices)
    if "inks" not in name:
        assert abs(int(task.train.images(4, 3)[np.arange(2)].max()) - 40_000 * 255 // 65535) <= 1


@pytest.mark.parametrize("name", WHOLE)
def test_twelve_bits_of_grey_become_white(tmp_path, name):
    task = folder_task(data(tmp_path, name, WHOLE[name](4095)))
    assert int(task.train.images(4, 1)[np.arange(2)].min()) == 255
    assert any("12 images have more than 8 bits a channel: 4,095 becomes white" in text for text in task.notices)


def test_planes_that_pillow_reads_byte_by_byte_are_refused(tmp_path):
    """Of 16 bits it takes the first half of each plane, both bytes as pixels."""
    root = data(tmp_path, "planes.tif", tiff(40_000, 3, planes=3))
    with pytest.raises(TaskError, match=r"planes\.tif: a TIFF of more than 8 bits with a plane for each channel; save"):
        folder_task(root)


@pytest.mark.parametrize("ending", ["jp2", "j2k"])
def test_the_bits_of_jpeg_2000_are_those_of_its_codestream(tmp_path, ending):
    Image.fromarray(np.full((H, W, 3), 200, np.uint8)).save(tmp_path / f"a.{ending}")
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert not read_headers([tmp_path / f"a.{ending}"])[0].deep
    at = content.index(b"\xff\x4f\xff\x51") + 42
    assert content[at] == 7
    (tmp_path / f"b.{ending}").write_bytes(content[:at] + b"\x0f" + content[at + 1 :])
    header = read_headers([tmp_path / f"b.{ending}"])[0]
    assert header.deep
    assert header.clipped


def test_sixteen_bits_for_a_whole_pixel_are_not_deep(tmp_path):
    head = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 16, 3, 2 * W * H, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    file = b"BM" + struct.pack("<IHHI", 66 + 2 * W * H, 0, 0, 66) + head + masks + b"\xff" * (2 * W * H)
    (tmp_path / "a.bmp").write_bytes(file)
    with Image.open(tmp_path / "a.bmp") as image:
        assert image.tile[0][3][0] == "BGR;16"
    assert not read_headers([tmp_path / "a.bmp"])[0].deep


def test_exif_behind_the_pixels_of_a_png_turns_it_and_is_found_without_decoding(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (W, H)).save(tmp_path / "a.png", exif=exif)
    content = (tmp_path / "a.png").read_bytes()
    at = content.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(content[at : at + 4], "big")
    last = content.index(b"IEND") - 4
    assert end < last
    (tmp_path / "b.png").write_bytes(content[:at] + content[end:last] + content[at:end] + content[last:])
    for name in "ab":
        header = read_headers([tmp_path / f"{name}.png"])[0]
        assert (header.width, header.height) == (H, W)
