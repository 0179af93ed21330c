"""The recognition of distortions: features, the classifier as plain numbers, its fit, and the mix of images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from eenas.backbones.transforms.image_transform import InputTransform
from eenas.errors import InputError, SpecError, TaskError
from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.tasks.distortions.distortion import distort
from eenas.tasks.recognition.classifier_fit import ImageScale, fit_distortion_classifier
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier
from eenas.tasks.recognition.distortion_features import IMAGE_FEATURES, RINGS, distortion_features
from eenas.tasks.recognition.distortion_mix import PRISTINE, DistortionMix
from eenas.tasks.task import Task

KINDS = ("gaussian_blur", "gaussian_noise")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def pictures(count=240, size=32, channels=3, seed=0):
    """Smooth shapes with edges: blur removes the edges, noise adds what no shape has."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    made = np.zeros((count, size, size, channels))
    for image in made:
        for _ in range(6):
            centre, radius = generator.random(2), generator.uniform(0.1, 0.4)
            inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
            image[inside] = generator.integers(0, 256, channels)
    return made.astype(np.uint8)


@pytest.fixture(scope="module")
def task():
    images = pictures()
    return Task.from_arrays("shapes", images, np.arange(len(images)) % 2)


@pytest.fixture(scope="module")
def scale(task):
    return ImageScale(inputs=task.inputs, mean=MEAN, std=STD)


@pytest.fixture(scope="module")
def classifier(task, scale):
    return fit_distortion_classifier(task.train, scale, KINDS, severities=(4, 5))


def scaled(images):
    return InputTransform(32, 3, MEAN, STD)(torch.from_numpy(images)).numpy()


def test_the_rings_show_the_frequency_of_a_texture():
    frequency = np.fft.fftfreq(32) * 32
    radius = np.hypot(frequency[:, None], frequency[None, :])
    noise = np.fft.fft2(np.random.default_rng(0).normal(size=(32, 32)))
    for cycles in (3, 8, 14):
        texture = np.fft.ifft2(np.where(np.rint(radius) == cycles, noise, 0)).real
        rings = distortion_features((128 + 100 * texture)[None].astype(np.float32))[0, :RINGS]
        assert int(rings.argmax()) == cycles, "ring k holds k cycles in 32 pixels"


def test_features_equal_slow_ones_on_images_of_odd_and_even_sides():
    for height, width in ((9, 12), (12, 9), (16, 16)):
        images = np.random.default_rng(0).uniform(0, 255, (3, height, width)).astype(np.float32)
        found = distortion_features(images)
        for image, row in zip(images.astype(np.float64), found, strict=True):
            centred = image - image.mean()
            spectrum = np.log1p(np.abs(np.fft.fft2(centred * np.outer(np.hanning(height), np.hanning(width)))))
            radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]) / 0.5
            ring = np.rint(np.minimum(radius, 1) * (RINGS - 1)).astype(int)
            means = [spectrum[ring == k].mean() if (ring == k).any() else 0.0 for k in range(RINGS)]
            np.testing.assert_allclose(row[:RINGS], means, rtol=1e-4, atol=1e-4)
            lap = np.array(
                [
                    [image[i - 1, j] + image[i + 1, j] + image[i, j - 1] + image[i, j + 1] - 4 * image[i, j]]
                    for i in range(1, height - 1)
                    for j in range(1, width - 1)
                ]
            )
            logs = np.log(np.array([lap.var(), np.abs(lap).mean(), image.var()]) + 1e-3)
            np.testing.assert_allclose(row[RINGS:], logs, rtol=1e-4)


def test_a_flat_image_and_a_batch_of_none_have_features():
    assert np.isfinite(distortion_features(np.full((1, 8, 8), 7, np.float32))).all()
    assert distortion_features(np.zeros((0, 8, 8), np.float32)).shape == (0, IMAGE_FEATURES)


def test_kinds_that_differ_clearly_are_told_apart_on_new_images(classifier):
    images = np.moveaxis(pictures(60, seed=9), 3, 1).copy()
    assert classifier.kinds == (PRISTINE, *KINDS)
    assert (classifier.choose(scaled(images)) == 0).mean() > 0.8
    for number, kind in enumerate(KINDS, start=1):
        changed = distort(images, kind, 5, np.random.default_rng(1))
        assert (classifier.choose(scaled(changed)) == number).mean() > 0.8, kind


def test_each_image_is_chosen_on_its_own(classifier):
    images = scaled(np.moveaxis(pictures(40, seed=4), 3, 1).copy())
    logits = classifier.logits(images)
    one_by_one = np.concatenate([classifier.logits(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(logits, one_by_one, atol=2e-4)
    assert (classifier.choose(images) == logits.argmax(axis=1)).all()
    assert classifier.near(images).shape == (40,)


def test_the_transforms_of_training_and_of_the_runtime_give_the_same_choice(classifier):
    raw = np.moveaxis(pictures(30, seed=5), 3, 1).copy()
    numpy = ImagePreprocessing(32, 3, MEAN, STD)(raw)
    np.testing.assert_allclose(classifier.logits(scaled(raw)), classifier.logits(numpy), atol=2e-3)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(task, scale, classifier):
    again = fit_distortion_classifier(task.train, scale, KINDS, severities=(4, 5))
    other = fit_distortion_classifier(task.train, scale, KINDS, severities=(4, 5), seed=1)
    assert again == classifier != other


def test_one_kind_is_told_from_clean_images(task, scale):
    found = fit_distortion_classifier(task.train, scale, ("gaussian_noise",), severities=(5,))
    images = np.moveaxis(pictures(60, seed=9), 3, 1).copy()
    assert (found.choose(scaled(images)) == 0).mean() > 0.9
    noisy = distort(images, "gaussian_noise", 5, np.random.default_rng(0))
    assert (found.choose(scaled(noisy)) == 1).mean() > 0.9


def test_plain_data_survive_json_without_loss(classifier):
    table = json.loads(json.dumps(classifier.to_table()))
    assert DistortionClassifier.from_table(table) == classifier


def test_it_costs_a_thousandth_of_a_resnet(classifier):
    assert 20_000 < classifier.macs < 40_551_050 / 1000


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (np.zeros((2, 3, 16, 16), np.float32), r"float32 \[N, 3, 32, 32\], got float32 \[2, 3, 16, 16\]"),
        (np.zeros((2, 3, 32, 32), np.float64), "got float64"),
        ([[1.0]], "got list"),
    ],
)
def test_other_batches_are_refused_in_one_line(classifier, batch, words):
    with pytest.raises(InputError, match=words) as error:
        classifier.choose(batch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kinds": ("pristine", "pristine", "x")}, "different names"),
        ({"kinds": ()}, "different names"),
        ({"shape": (3, 32)}, "images"),
        ({"shape": (3, 4, 32)}, "at least 8 x 8"),
        ({"std": (0.0, 1.0, 1.0)}, "positive"),
        ({"std": (1.0,)}, "3 finite numbers"),
        ({"biases": (1.0, float("nan"), 0.0)}, "finite"),
        ({"biases": (True, 1.0, 0.0)}, "finite"),
        ({"weights": ((0.0,),) * 3}, "finite numbers"),
        ({"weights": ()}, "rows"),
        ({"scale": (-1.0,) * IMAGE_FEATURES}, "positive"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(classifier, changed, words):
    with pytest.raises(InputError, match=words):
        replace(classifier, **changed)


def test_a_damaged_scale_chooses_something_without_a_warning(classifier):
    damaged = replace(classifier, scale=(1e-60,) * IMAGE_FEATURES)  # 0 in float32
    assert damaged.choose(np.zeros((3, *classifier.shape), dtype=np.float32)).shape == (3,)


def test_tables_of_other_keys_are_refused(classifier):
    with pytest.raises(SpecError, match="bias"):
        DistortionClassifier.from_table({**classifier.to_table(), "bias": 1})
    with pytest.raises(InputError, match="must be a list"):
        DistortionClassifier.from_table({**classifier.to_table(), "kinds": 3})


def test_series_and_tiny_images_are_refused(task):
    values = np.random.default_rng(0).normal(size=(40, 2, 16))
    series = Task.from_arrays("s", values, np.arange(40) % 2, input="series")
    with pytest.raises(InputError, match="images"):
        fit_distortion_classifier(series.train, ImageScale(inputs=series.inputs, mean=(0,), std=(1,)), KINDS)
    tiny = Task.from_arrays("t", pictures(40, size=4), np.arange(40) % 2)
    with pytest.raises(InputError, match="at least 8 x 8"):
        fit_distortion_classifier(tiny.train, ImageScale(inputs=tiny.inputs, mean=MEAN, std=STD), KINDS)


def test_a_mix_distorts_its_share_by_all_kinds_and_severities():
    images = np.moveaxis(pictures(400, size=8), 3, 1).copy()
    changed, kinds, severities = DistortionMix(kinds=KINDS, severities=(2, 4)).apply(images, np.random.default_rng(0))
    assert 0.4 < (kinds > 0).mean() < 0.6
    assert set(kinds.tolist()) == {0, 1, 2}
    assert set(severities[kinds > 0].tolist()) == {2, 4}
    assert (severities[kinds == 0] == 0).all()
    assert (changed[kinds == 0] == images[kinds == 0]).all()
    assert (changed[kinds == 2] != images[kinds == 2]).any(axis=(1, 2, 3)).all()
    again, *_ = DistortionMix(kinds=KINDS, severities=(2, 4)).apply(images, np.random.default_rng(0))
    assert (again == changed).all()


def test_a_share_of_one_distorts_all_and_of_zero_none():
    images = np.moveaxis(pictures(20, size=8), 3, 1).copy()
    generator = np.random.default_rng(0)
    assert (DistortionMix(kinds=KINDS, share=1).apply(images, generator)[1] > 0).all()
    assert (DistortionMix(kinds=KINDS, share=0).apply(images, generator)[0] == images).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kinds": ()}, "different names"),
        ({"kinds": "gaussian_blur"}, "in a list"),
        ({"kinds": ("gaussian_blur", "gaussian_blur")}, "different names"),
        ({"kinds": ("gaussian_blurr",)}, "gaussian_blur"),
        ({"kinds": KINDS, "severities": (6,)}, "1 to 5"),
        ({"kinds": KINDS, "severities": ()}, "at least one severity"),
        ({"kinds": KINDS, "severities": 3}, "at least one severity"),
        ({"kinds": KINDS, "severities": (2, 2)}, "must be distinct"),
        ({"kinds": ([],)}, "unknown distortion"),
        ({"kinds": KINDS, "share": 1.5}, r"\[0, 1\]"),
    ],
)
def test_mixes_that_cannot_be_are_refused(values, words):
    with pytest.raises(TaskError, match=words):
        DistortionMix(**values)
