"""Preprocessing in NumPy: bit for bit what the network's transform does, and the same refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from eenas.backbones.transforms.image_transform import InputTransform, default_transform
from eenas.errors import InputError
from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.specs import to_table
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.frame import Frame
from eenas.tasks.spec import TaskSpec

COLOUR = InputTransform(8, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GREY = InputTransform(8, 1, (0.5,), (0.25,))


@pytest.mark.parametrize(("transform", "channels"), [(COLOUR, 3), (COLOUR, 1), (GREY, 1), (GREY, 3)])
def test_it_is_the_network_s_transform(transform, channels):
    images = np.random.default_rng(0).integers(256, size=(5, channels, 8, 8)).astype(np.uint8)
    found = ImagePreprocessing(**to_table(transform))(images)
    expected = transform(torch.from_numpy(images)).numpy()
    assert found.dtype == np.float32
    assert found.shape == (5, *ImagePreprocessing(**to_table(transform)).shape)
    if (transform, channels) == (GREY, 3):  # a sum of three may be rounded in another order
        np.testing.assert_allclose(found, expected, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(5, 2, 8, 8), (5, 4, 8, 8), (5, 3, 8, 7), (3, 8, 8), (8,)])
@pytest.mark.parametrize("transform", [COLOUR, GREY])
def test_other_images_are_refused(transform, shape):
    with pytest.raises(InputError, match=r"images must be uint8 \[N, . or 1, 8, 8\] .* got uint8"):
        ImagePreprocessing(**to_table(transform))(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("change", [{"mean": [0.5]}, {"std": [0, 1, 1]}, {"size": 0}, {"mean": [0, 0, float("nan")]}])
def test_damaged_numbers_are_refused(change):
    with pytest.raises(InputError):
        ImagePreprocessing(**{**to_table(COLOUR), **change})


@pytest.mark.parametrize("size", [8, (8, 20)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_those_of_training(tmp_path, size, fit, channels):
    for name in ("cat", "owl"):
        (tmp_path / name).mkdir()
        for number in range(8):
            coarse = np.random.default_rng(number).integers(0, 256, (3, 3, 4), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((21 + 3 * number, 17))
            exif = Image.Exif()
            exif[0x0112] = number + 1
            image.save(tmp_path / name / f"{number}.png", exif=exif)
    task = folder_task(tmp_path, input_size=size, spec=TaskSpec(fit=fit))
    transform = replace(default_transform(size, channels), fit=fit)
    found = ImagePreprocessing(**to_table(transform)).prepare(task.train.samples.files)
    trained = task.train.samples.kept(Frame.of(size, fit), channels).read(np.arange(16)).numpy()
    assert found.shape == (16, *transform.shape)
    assert np.array_equal(found, trained)


def test_a_manifest_of_another_fit_or_size_is_refused():
    for change in ({"fit": "cover"}, {"size": [8, 0]}, {"size": "8"}, {"size": [8]}):
        with pytest.raises(InputError):
            ImagePreprocessing(**{**to_table(COLOUR), **change})
