"""Images at the size a backbone asks for: against Pillow, kept or not, from threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.images import pixels
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.pixels import ArrayPixels, KeptPixels, grey
from eenas.tasks.split import Split

ALL = np.arange(6)


def smooth(count=6, height=12, width=9, channels=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 3, channels), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((width, height))) for image in coarse[..., :3]]
    return np.stack(large)[..., :channels]


def split_of(images):
    source = ArrayPixels(images, "digest")
    return Split("train", "train", source, np.zeros(len(images), np.int64), np.arange(len(images)))


@pytest.mark.parametrize("size", [5, 9, 20])
def test_resizing_agrees_with_pillow(size):
    images = smooth()
    shown = split_of(images).images(size, 3)[ALL].numpy()
    slow = [
        np.asarray(Image.fromarray(image[1:10]).resize((size, size), Image.Resampling.BILINEAR)) for image in images
    ]
    assert np.abs(shown.astype(int) - np.moveaxis(np.stack(slow), 3, 1)).max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_grey_is_pillows(seed):
    image = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    slow = np.asarray(Image.fromarray(image).convert("L"))
    assert np.array_equal(grey(torch.from_numpy(image).permute(2, 0, 1)[None])[0, 0], slow)


def test_channels_are_repeated_or_reduced_and_others_refused():
    one = split_of(smooth()[..., :1])
    three = one.images(None, 3)[ALL]
    assert three.shape == (6, 3, 9, 9)
    assert torch.equal(three[:, 2:], one.images(9, 1)[ALL])
    colour = split_of(smooth())
    assert torch.equal(colour.images(9, 1)[ALL], grey(colour.images(9, 3)[ALL]))
    four = split_of(np.concatenate([smooth(), smooth()[..., :1]], axis=3))
    assert four.images(14, 4)[ALL].shape == (6, 4, 14, 14)
    with pytest.raises(TaskError, match="the backbone takes images of 3 channels, got 4"):
        four.images(None, 3)
    with pytest.raises(TaskError, match="positive size"):
        colour.images(0, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_kept_images_are_those_made_anew_in_any_order(monkeypatch, channels):
    images = smooth(count=40)
    kept = split_of(images).images(21, channels)
    monkeypatch.setattr(pixels, "KEEP_BYTES", 0)
    monkeypatch.setattr(pixels, "_CHUNK", 7)
    anew = split_of(images).images(21, channels)
    for seed in range(4):
        order = np.random.default_rng(seed).integers(0, 40, 15)
        assert torch.equal(kept[order], anew[order])
    assert kept[ALL[:0]].shape == anew[ALL[:0]].shape == (0, channels, 21, 21)
    assert torch.equal(kept[np.array([-1])], kept[np.array([39])])


def test_an_image_is_made_once_and_the_batch_is_the_callers():
    source = ArrayPixels(smooth(), "digest")
    kept = KeptPixels(source, Frame(16, 16), 3)
    first = kept.read(ALL)
    kept_before = first.clone()
    first.zero_()
    read: list[int] = []
    kept._pixels = type("Spy", (), {"read": lambda self, rows, *_: read.extend(rows)})()
    assert torch.equal(kept.read(ALL), kept_before)
    assert read == []


def test_many_threads_read_the_same_images():
    split = split_of(smooth(count=60))
    expected = split_of(smooth(count=60)).images(24, 3)[np.arange(60)]
    source = split.images(24, 3)
    with ThreadPoolExecutor(4) as pool:
        for batch in pool.map(lambda _: source[np.arange(60)], range(8)):
            assert torch.equal(batch, expected)


def test_splits_of_one_source_share_what_is_kept():
    split = split_of(smooth())
    assert split.images(32, 3)._kept is split.subset(ALL[:2]).images(32, 3)._kept


def test_images_first_read_in_inference_mode_can_be_read_outside_of_it():
    split = split_of(smooth())
    with torch.inference_mode():
        first = split.images(5, 3)[ALL[:2]]
    rest = split.images(5, 3)[ALL]
    assert torch.equal(rest[:2], first)
    assert not rest.is_inference()
